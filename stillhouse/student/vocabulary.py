"""The part of a teacher's vocabulary that a corpus uses.

Embeddings dominate a small student (28 of 50 million parameters of six layers of SmolLM2-135M),
and a corpus touches a small part of them.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.storage.files import read_json, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger("stillhouse")

# In a folder of its own: engines that load every *.safetensors beside config.json take it for
# weights otherwise.
MAPPING_FILE = Path("vocabulary") / "mapping.safetensors"

GONE = -1

SPACE = "▁"  # in vocabularies made by SentencePiece


@dataclass(frozen=True)
class PrunedVocabulary:
    """A smaller tokenizer and how its ids map to the teacher's.

    `teacher_to_student` [rows of the teacher's embedding] holds -1 for tokens that are gone;
    `student_to_teacher` [student vocabulary] is its inverse. Order is kept.
    """

    tokenizer: PreTrainedTokenizerBase
    teacher_to_student: NDArray[np.int64]
    student_to_teacher: NDArray[np.int64]


def prune_tokenizer(
    tokenizer: PreTrainedTokenizerBase,
    token_ids_seen: Iterable[int],
    *,
    teacher_rows: int | None = None,
) -> PrunedVocabulary:
    """Keep the tokens seen, what they are merged from, the byte alphabet, special and added ones.

    Every text made of the tokens seen is segmented exactly as before: the merges it needs are all
    kept, in order, and taking others away opens no merge that was not there. Any other text still
    encodes, in smaller pieces. `teacher_rows` is the height of the teacher's embedding where it is
    padded beyond its tokenizer.

    This holds for BPE over bytes or falling back on them (Llama, Qwen, Mistral, SmolLM, GPT-2 and
    their kin). Other tokenizers are kept whole, and the log says why.
    """
    import numpy as np

    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    ids: dict[str, int] = tokenizer.get_vocab()
    rows = max([teacher_rows or 0, *(index + 1 for index in ids.values())])
    if reason := _why_not(backend):
        logger.warning("The vocabulary is not pruned: %s", reason)
        return PrunedVocabulary(tokenizer, np.arange(rows), np.arange(rows))
    kept = _kept_ids(backend, ids, set(token_ids_seen))
    student_to_teacher = np.array(kept, dtype=np.int64)
    teacher_to_student = np.full(rows, GONE, dtype=np.int64)
    teacher_to_student[student_to_teacher] = np.arange(len(kept))
    logger.info("Vocabulary: %d of the teacher's %d tokens are kept", len(kept), len(ids))
    smaller = _rebuild(tokenizer, backend, teacher_to_student)
    return PrunedVocabulary(smaller, teacher_to_student, student_to_teacher)


def save_mapping(vocabulary: PrunedVocabulary, folder: Path) -> None:
    """Write both maps (int64) to `vocabulary/mapping.safetensors` below `folder`."""
    from safetensors.numpy import save_file

    (folder / MAPPING_FILE).parent.mkdir(exist_ok=True)
    save_file(
        {
            "teacher_to_student": vocabulary.teacher_to_student,
            "student_to_teacher": vocabulary.student_to_teacher,
        },
        folder / MAPPING_FILE,
    )


def load_vocabulary(folder: Path) -> PrunedVocabulary | None:
    """The vocabulary of a student cut by `cut_student`; None when it has all of its teacher's."""
    from safetensors.numpy import load_file
    from transformers import AutoTokenizer

    if not (folder / MAPPING_FILE).exists():
        return None
    maps = load_file(folder / MAPPING_FILE)
    tokenizer = AutoTokenizer.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    return PrunedVocabulary(tokenizer, maps["teacher_to_student"], maps["student_to_teacher"])


def byte_alphabet(backend: dict[str, Any]) -> list[str]:
    """The tokens that spell the bytes: GPT-2's printable stand-ins, or `<0x00>` to `<0xFF>`.

    Empty when the tokenizer has neither. Those of rare bytes may be missing (SmolLM2 lacks 21,
    such as 0xFF): a text with one of them loses it before and after pruning alike.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    model = backend["model"]
    if any('"ByteLevel"' in json.dumps(backend.get(s)) for s in ("pre_tokenizer", "normalizer")):
        return [symbol for symbol in sorted(ByteLevel.alphabet()) if symbol in model["vocab"]]
    spelled = [f"<0x{byte:02X}>" for byte in range(256)]
    complete = model.get("byte_fallback") and all(symbol in model["vocab"] for symbol in spelled)
    return spelled if complete else []


def _why_not(backend: dict[str, Any]) -> str | None:
    model = backend["model"]
    if model["type"] != "BPE":
        return f"its tokenizer is {model['type']}, not BPE"
    if not byte_alphabet(backend):
        return "its tokenizer does not fall back on bytes"
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return "its tokenizer marks the parts of a word"
    return None


def _kept_ids(backend: dict[str, Any], ids: dict[str, int], seen: set[int]) -> list[int]:
    model = backend["model"]
    ranks = {tuple(merge): rank for rank, merge in enumerate(_merges(model))}
    kept = {ids[symbol] for symbol in byte_alphabet(backend)}
    kept |= {token["id"] for token in backend["added_tokens"]}
    # The stand-in for a space has to stay itself: spelled in bytes, no decoder knows it again.
    kept |= {ids[token] for token in (model.get("unk_token"), SPACE) if token in ids}
    names = {index: token for token, index in ids.items()}
    for index in seen - kept:
        kept.add(index)
        kept.update(ids[part] for part in merge_parts(names[index], ranks) if part in ids)
    return sorted(kept)


def _merges(model: dict[str, Any]) -> list[list[str]]:
    """Merges as pairs; tokenizer.json of older make has them as "left right"."""
    return [m if isinstance(m, list) else m.split(" ", 1) for m in model["merges"]]


def merge_parts(token: str, ranks: dict[tuple[str, ...], int]) -> set[str]:
    """Every symbol that appears while BPE builds `token` from its characters.

    Inside a longer word the token is built by the same steps: no merge ever crosses its edges, or
    it would not be a token there.
    """
    symbols = list(token)
    parts = set(symbols)
    while len(symbols) > 1:
        rank, at = min((ranks.get(pair, len(ranks)), i) for i, pair in enumerate(pairwise(symbols)))
        if rank == len(ranks):
            break
        symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
        parts.add(symbols[at])
    return parts


def _rebuild(
    tokenizer: PreTrainedTokenizerBase, backend: dict[str, Any], new_ids: NDArray[np.int64]
) -> PreTrainedTokenizerBase:
    """The tokenizer with `new_ids`, read back from the files it will live in."""
    from transformers import AutoTokenizer

    _renumber(backend, new_ids)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        write_json(folder / "tokenizer.json", backend)
        config = read_json(folder / "tokenizer_config.json")
        if "added_tokens_decoder" in config:
            config["added_tokens_decoder"] = {
                str(new_ids[int(index)]): token
                for index, token in config["added_tokens_decoder"].items()
            }
        # Ids that the tokenizer knows from the tokens themselves; stale copies would win.
        config = {key: value for key, value in config.items() if not key.endswith("_token_id")}
        write_json(folder / "tokenizer_config.json", config)
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def _renumber(backend: dict[str, Any], new_ids: NDArray[np.int64]) -> None:
    model = backend["model"]
    kept = {
        token: int(new_ids[index])
        for token, index in sorted(model["vocab"].items(), key=lambda item: item[1])
        if new_ids[index] != GONE
    }
    model["vocab"] = kept
    model["merges"] = [
        [left, right]
        for left, right in _merges(model)
        if left in kept and right in kept and left + right in kept
    ]
    for token in backend["added_tokens"]:
        token["id"] = int(new_ids[token["id"]])
    # Left over from the last call of the tokenizer; each call sets its own.
    backend["padding"] = backend["truncation"] = None
    _renumber_processor(backend.get("post_processor"), new_ids)


def _renumber_processor(processor: dict[str, Any] | None, new_ids: NDArray[np.int64]) -> None:
    """Ids in the templates that put special tokens around a text."""
    if processor is None:
        return
    for inner in processor.get("processors", []):
        _renumber_processor(inner, new_ids)
    special = processor.get("special_tokens")
    for token in special.values() if isinstance(special, dict) else ():
        token["ids"] = [int(new_ids[index]) for index in token["ids"]]
    for name in ("sep", "cls"):
        if isinstance(processor.get(name), list):
            token, index = processor[name]
            processor[name] = [token, int(new_ids[index])]
