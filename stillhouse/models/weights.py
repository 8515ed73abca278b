"""What the headers of safetensors files say, without torch and without reading a weight.

Format: https://huggingface.co/docs/safetensors/index (8 bytes little-endian header length, then
the header as JSON).
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from stillhouse.errors import UserError

MAX_HEADER_BYTES = 100_000_000  # the format's own limit

# What compressed-tensors stores beside the packed integers of a quantized weight.
PACKED = ".weight_packed"
HELPERS = (".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold the model of a Hugging Face folder, in order."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return [folder / Path(name).name for name in sorted(names)]
    single = folder / "model.safetensors"
    return [single] if single.exists() else []


def tensor_headers(file: Path) -> dict[str, dict[str, Any]]:
    """dtype, shape and data_offsets (bytes, from the end of the header) of each tensor by name.

    Raises `UserError` when the file is not safetensors.
    """
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else MAX_HEADER_BYTES + 1
        header = stream.read(length) if length <= MAX_HEADER_BYTES else b""
    try:
        found: dict[str, dict[str, Any]] = json.loads(header)
    except ValueError:
        raise UserError(
            f"{file}: not a safetensors file, or cut short", remedy="bring the file again."
        ) from None
    found.pop("__metadata__", None)
    return found


def count_parameters(folder: Path) -> int:
    """Parameters of the model, tied ones once; a quantized weight counts as what it stands for."""
    total = 0
    for file in weight_files(folder):
        headers = tensor_headers(file)
        for name, header in headers.items():
            if name.endswith(PACKED):
                shape = headers[name.removesuffix(PACKED) + ".weight_shape"]
                total += math.prod(_int64_values(file, shape["data_offsets"]))
            elif not name.endswith(HELPERS):
                total += math.prod(header["shape"])
    return total


def weight_bytes(folder: Path) -> int:
    """Bytes on disk of the model's weights."""
    return sum(file.stat().st_size for file in weight_files(folder))


def _int64_values(file: Path, offsets: list[int]) -> tuple[int, ...]:
    with file.open("rb") as stream:
        header_length = struct.unpack("<Q", stream.read(8))[0]
        stream.seek(8 + header_length + offsets[0])
        return struct.unpack(
            f"<{(offsets[1] - offsets[0]) // 8}q", stream.read(offsets[1] - offsets[0])
        )
