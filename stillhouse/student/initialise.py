"""A student cut from its teacher: every n-th layer, and the embedding rows of its vocabulary.

Layers taken from the teacher are a far better start than random ones (Sanh et al., "DistilBERT",
2019; Shleifer and Rush, "Pre-trained Summarization Distillation", 2020). The cut works on files:
tensors are copied from safetensors to safetensors one by one, so a teacher that fits no memory
can still be cut.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stillhouse.errors import UserError
from stillhouse.models.weights import count_parameters, tensor_headers, weight_bytes, weight_files
from stillhouse.progress import track
from stillhouse.storage.files import read_json, write_json
from stillhouse.student.vocabulary import GONE, PrunedVocabulary, save_mapping

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

logger = logging.getLogger("stillhouse")

LAYER = re.compile(r"^model\.layers\.(\d+)\.")

# One row (or value) a token of the vocabulary.
BY_TOKEN = ("model.embed_tokens.weight", "lm_head.weight", "lm_head.bias")


@dataclass(frozen=True)
class StudentInfo:
    """A student as cut: `kept_layers` are the teacher's, `vocabulary` counts embedding rows."""

    path: Path
    parameters: int
    bytes: int
    kept_layers: tuple[int, ...]
    hidden_size: int
    vocabulary: int


def evenly_spaced(count: int, of: int) -> tuple[int, ...]:
    """`count` of the layers 0 to `of` - 1 at even distances, the first and the last among them.

    One layer alone is the first: it is the one used to reading embeddings.
    """
    if count == 1:
        return (0,)
    # Rounded half up; distances are at least one, so no layer comes twice.
    return tuple((2 * i * (of - 1) + count - 1) // (2 * (count - 1)) for i in range(count))


def cut_student(
    teacher: Path,
    *,
    layers: int | Literal["all"],
    vocabulary: PrunedVocabulary | None,
    target: Path,
) -> StudentInfo:
    """Fill the folder `target` with a student of `layers` layers of the teacher's folder, which
    may be that of any model that a student begins as.

    With `vocabulary`, embedding and output rows are gathered by `student_to_teacher`, token ids in
    the configuration follow, and the mapping is kept beside the weights; without, the student has
    its teacher's vocabulary. Weights keep their dtype.

    Takes decoder-only models whose layers are `model.layers` (Llama, Qwen, Mistral, SmolLM, Phi-3
    and their kin). Raises `UserError` for others, and when the teacher has fewer layers.
    """
    from safetensors.torch import save_file
    from transformers import AutoTokenizer

    config = read_json(teacher / "config.json")
    every = config.get("num_hidden_layers", 0)
    kept = _choose_layers(teacher, config, every if layers == "all" else layers)
    rows = None if vocabulary is None else vocabulary.student_to_teacher
    if rows is not None and int(rows.max()) >= config["vocab_size"]:
        raise UserError(
            f"{teacher}: config.json: vocab_size {config['vocab_size']} is smaller than the "
            f"vocabulary to cut from it (token {int(rows.max())})",
            remedy="prune the tokenizer of this very teacher.",
        )
    target.mkdir(parents=True, exist_ok=True)
    tensors = _cut_weights(teacher, kept, rows)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    write_json(target / "config.json", _cut_config(config, kept, vocabulary))
    generation = teacher / "generation_config.json"
    if generation.exists():
        settings = read_json(generation)
        if vocabulary is not None:
            settings = _renumber_ids(settings, vocabulary.teacher_to_student)
        write_json(target / "generation_config.json", settings)
    if vocabulary is None:
        AutoTokenizer.from_pretrained(
            teacher, trust_remote_code=False, local_files_only=True
        ).save_pretrained(target)
    else:
        vocabulary.tokenizer.save_pretrained(target)
        save_mapping(vocabulary, target)
    info = StudentInfo(
        path=target,
        parameters=count_parameters(target),
        bytes=weight_bytes(target),
        kept_layers=kept,
        hidden_size=config["hidden_size"],
        vocabulary=config["vocab_size"] if rows is None else len(rows),
    )
    logger.info(
        "Student of %d parameters: layers %s of what it begins as, %d tokens",
        info.parameters, ", ".join(map(str, kept)), info.vocabulary,
    )  # fmt: skip
    return info


def _choose_layers(teacher: Path, config: dict[str, Any], layers: int) -> tuple[int, ...]:
    available = config.get("num_hidden_layers", 0)
    names = [name for file in weight_files(teacher) for name in tensor_headers(file)]
    found = {int(match[1]) for name in names if (match := LAYER.match(name))}
    if found != set(range(available)) or BY_TOKEN[0] not in names:
        raise UserError(
            f"{teacher}: a `{config.get('model_type')}` model, which has no `model.layers` and "
            "`model.embed_tokens` to cut from",
            remedy="take a teacher of the Llama, Qwen, Mistral, SmolLM or Phi-3 families.",
        )
    if "quantization_config" in config:
        raise UserError(
            f"{teacher}: config.json: the weights are quantized, and can't be trained further",
            remedy="cut the student from the teacher's unquantized weights.",
        )
    if not 1 <= layers <= available:
        raise UserError(
            f"students[].init.layers: {layers}, but the teacher in {teacher} has {available} "
            "layers",
            remedy=f"set `layers` to a number from 1 to {available}.",
        )
    return evenly_spaced(layers, available)


def _cut_weights(
    teacher: Path, kept: tuple[int, ...], rows: NDArray[np.int64] | None
) -> dict[str, torch.Tensor]:
    import torch
    from safetensors import safe_open

    new_index = {old: new for new, old in enumerate(kept)}
    gather = None if rows is None else torch.from_numpy(rows)
    tensors: dict[str, torch.Tensor] = {}
    for file in track(weight_files(teacher), "Cutting the student", unit="files"):
        with safe_open(file, framework="pt") as source:
            for name in source.keys():  # noqa: SIM118 (not a dict)
                match = LAYER.match(name)
                if match and int(match[1]) not in new_index:
                    continue
                if match:
                    rest = name[match.end() :]
                    tensors[f"model.layers.{new_index[int(match[1])]}.{rest}"] = source.get_tensor(
                        name
                    )
                elif name in BY_TOKEN and gather is not None:
                    tensors[name] = source.get_tensor(name)[gather]
                else:
                    tensors[name] = source.get_tensor(name)
    return tensors


def _cut_config(
    config: dict[str, Any], kept: tuple[int, ...], vocabulary: PrunedVocabulary | None
) -> dict[str, Any]:
    available = config["num_hidden_layers"]
    cut: dict[str, Any] = {}
    for key, value in config.items():
        # `layer_types`, `no_rope_layers`, `layers_block_type`: one entry a layer.
        by_layer = isinstance(value, list) and len(value) == available and "layer" in key
        cut[key] = [value[index] for index in kept] if by_layer else value
    cut["num_hidden_layers"] = len(kept)
    if vocabulary is not None:
        cut["vocab_size"] = len(vocabulary.student_to_teacher)
        cut = _renumber_ids(cut, vocabulary.teacher_to_student)
        # The tokenizer has the last word: adapted teachers are sometimes saved with stale ids.
        cut["pad_token_id"] = vocabulary.tokenizer.pad_token_id
    return cut


def _renumber_ids(settings: dict[str, Any], new_ids: NDArray[np.int64]) -> dict[str, Any]:
    """Token ids in a configuration (`eos_token_id`, `suppress_tokens`, ...) as the student's."""
    renumbered: dict[str, Any] = {}
    for key, value in settings.items():
        if not key.endswith(("_token_id", "suppress_tokens")) or value is None:
            renumbered[key] = value
            continue
        ids = [int(new_ids[i]) for i in (value if isinstance(value, list) else [value])]
        ids = [index for index in ids if index != GONE]
        renumbered[key] = ids if isinstance(value, list) else (ids[0] if ids else None)
    return renumbered
