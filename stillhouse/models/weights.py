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
from stillhouse.storage.files import read_json

INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000  # the format's own limit

# What compressed-tensors stores beside the packed integers of a quantized weight.
PACKED = ".weight_packed"
HELPERS = (".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx")

# Types of floating-point numbers: as which integers they are read, and which bits of one are all
# set where it is infinite or no number.
NO_NUMBERS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("u1", 0x7C),
    "F8_E4M3": ("u1", 0x7F),
}
PIECE_BYTES = 16 * 2**20  # read at once; whole numbers of any type


class IncompleteError(UserError):
    """A file of a model is missing or cut short: it may still be on its way."""


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold the model of a Hugging Face folder, in order.

    Raises `UserError` when its index can't be read.
    """
    if (folder / INDEX).exists():
        return [folder / Path(name).name for name in sorted(set(_weight_map(folder).values()))]
    single = folder / "model.safetensors"
    return [single] if single.exists() else []


def require_whole(folder: Path) -> None:
    """Raise `UserError` when a weight file of `folder` is missing, cut short, or lacks a tensor
    that the index says it holds: the folder was copied or downloaded by half."""
    expected = _weight_map(folder) if (folder / INDEX).exists() else {}
    for file in weight_files(folder):
        if not file.exists():
            raise IncompleteError(
                f"{file}: missing, though {INDEX} names it", remedy="bring the model again."
            )
        headers = tensor_headers(file)
        data = max((h["data_offsets"][1] for h in headers.values()), default=0)
        if file.stat().st_size != _data_start(file) + data:
            raise IncompleteError(f"{file}: cut short", remedy="bring the file again.")
        absent = [n for n, name in expected.items() if name == file.name and n not in headers]
        if absent:
            raise IncompleteError(
                f"{file}: has no {absent[0]}, though {INDEX} says so",
                remedy="bring the model again: its files are not of one make.",
            )


def no_number(file: Path) -> str | None:
    """The first tensor of a safetensors file that has an infinite value or no number; reads all."""
    import numpy as np

    start = _data_start(file)
    with file.open("rb") as stream:
        for name, header in tensor_headers(file).items():
            if header["dtype"] not in NO_NUMBERS:
                continue
            kind, bits = NO_NUMBERS[header["dtype"]]
            first, last = header["data_offsets"]
            stream.seek(start + first)
            for at in range(first, last, PIECE_BYTES):
                values = np.frombuffer(stream.read(min(PIECE_BYTES, last - at)), dtype=kind)
                mask = values.dtype.type(bits)
                if ((values & mask) == mask).any():
                    return name
    return None


def _weight_map(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = read_json(folder / INDEX)["weight_map"]
    except (ValueError, LookupError, TypeError):
        raise IncompleteError(
            f"{folder / INDEX}: not an index of weights, or cut short",
            remedy="bring the file again.",
        ) from None
    return found


def tensor_headers(file: Path) -> dict[str, dict[str, Any]]:
    """dtype, shape and data_offsets (bytes, from the end of the header) of each tensor by name.

    Raises `UserError` when the file is not safetensors.
    """
    length = _data_start(file) - 8
    with file.open("rb") as stream:
        stream.seek(8)
        header = stream.read(length) if length <= MAX_HEADER_BYTES else b""
    try:
        found: dict[str, dict[str, Any]] = json.loads(header)
    except ValueError:
        raise IncompleteError(
            f"{file}: not a safetensors file, or cut short", remedy="bring the file again."
        ) from None
    found.pop("__metadata__", None)
    return found


def _data_start(file: Path) -> int:
    """Where the header ends, in bytes from the file's start."""
    with file.open("rb") as stream:
        start = stream.read(8)
    return 8 + (struct.unpack("<Q", start)[0] if len(start) == 8 else MAX_HEADER_BYTES + 1)


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
    start, stop = offsets
    with file.open("rb") as stream:
        stream.seek(_data_start(file) + start)
        return struct.unpack(f"<{(stop - start) // 8}q", stream.read(stop - start))
