"""Outlook's .msg files, which no library writes: properties in a compound file ([MS-CFB])."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

SECTOR, MINI, CUTOFF = 512, 64, 4096
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
BINARY, INTEGER, TIME, UNICODE = 0x0102, 0x0003, 0x0040, 0x001F
# Seconds from 1601 to 1970, in the tenths of microseconds that Windows counts.
EPOCH = 116_444_736_000_000_000

Tree = dict[str, Any]


def msg_storage(
    *,
    subject: str = "",
    sender: str = "",
    address: str = "",
    to: str = "",
    body: str | None = None,
    html: bytes | None = None,
    rtf: bytes | None = None,
    sent: int = 0,
    attachments: tuple[Tree, ...] = (),
    inner: bool = False,
) -> Tree:
    values = {
        (0x0037, UNICODE): subject,
        (0x0C1A, UNICODE): sender,
        (0x5D01, UNICODE): address,
        (0x0E04, UNICODE): to,
        (0x1000, UNICODE): body,
        (0x1013, BINARY): html,
        (0x1009, BINARY): rtf,
        (0x0039, TIME): EPOCH + sent * 10_000_000 if sent else None,
        (0x3FDE, INTEGER): 65001 if html else None,
    }
    tree = _properties(values, b"\0" * (24 if inner else 32))
    for number, attachment in enumerate(attachments):
        tree[f"__attach_version1.0_#{number:08X}"] = attachment
    return tree


def attached(name: str, data: bytes | None, *, mime: str = "", flags: int = 0) -> Tree:
    values = {
        (0x3707, UNICODE): name,
        (0x3701, BINARY): data,
        (0x370E, UNICODE): mime or None,
        (0x3714, INTEGER): flags,
    }
    return _properties(values, b"\0" * 8)


def attached_mail(mail: Tree) -> Tree:
    return _properties({(0x3705, INTEGER): 5}, b"\0" * 8) | {"__substg1.0_3701000D": mail}


def write_msg(path: Path, storage: Tree) -> Path:
    path.write_bytes(compound_file(storage))
    return path


def _properties(values: dict[tuple[int, int], Any], head: bytes) -> Tree:
    tree: Tree = {}
    rows = b""
    for (number, kind), value in values.items():
        if value is None:
            continue
        if kind in (INTEGER, TIME):
            payload = struct.pack("<q", value)
        else:
            data = value.encode("utf-16-le") if kind == UNICODE else value
            tree[f"__substg1.0_{number:04X}{kind:04X}"] = data
            payload = struct.pack("<II", len(data), 0)
        rows += struct.pack("<HHI", kind, number, 6) + payload
    return {"__properties_version1.0": head + rows, **tree}


def compound_file(tree: Tree) -> bytes:
    """Streams below 4096 bytes lie in one stream of small sectors, as the format demands."""
    entries: list[dict[str, Any]] = [{"name": "Root Entry", "type": 5}]
    _list(tree, entries, 0)
    sectors: list[bytes] = []
    fat: list[int] = []
    mini, mini_fat = b"", []

    def store(data: bytes) -> int:
        return _chain(data, SECTOR, fat, sectors.append)

    small: list[bytes] = []
    for entry in entries:
        data = entry.get("data", b"")
        entry["size"] = len(data)
        if entry["type"] == 2:
            entry["start"] = (
                store(data) if len(data) >= CUTOFF else _chain(data, MINI, mini_fat, small.append)
            )
    mini = b"".join(small)
    entries[0] |= {"start": store(mini), "size": len(mini)}
    mini_start = store(struct.pack(f"<{len(mini_fat)}I", *mini_fat))
    directory = store(b"".join(_entry(entry) for entry in entries))
    fat_sectors = 1
    while (len(fat) + fat_sectors) * 4 > fat_sectors * SECTOR:
        fat_sectors += 1
    own = range(len(fat), len(fat) + fat_sectors)
    fat += [FAT] * fat_sectors
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(fat_sectors * SECTOR, b"\xff")
    difat = [*own, *[FREE] * (109 - fat_sectors)]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, fat_sectors, directory, 0, CUTOFF, mini_start, 1, END, 0)
    return header + struct.pack("<109I", *difat) + b"".join(sectors) + table


def _list(tree: Tree, entries: list[dict[str, Any]], parent: int) -> None:
    last = None
    for name, value in tree.items():
        number = len(entries)
        entries.append({"name": name, "type": 1 if isinstance(value, dict) else 2})
        if last is None:
            entries[parent]["child"] = number
        else:
            entries[last]["right"] = number
        last = number
        if isinstance(value, dict):
            _list(value, entries, number)
        else:
            entries[number]["data"] = value


def _chain(data: bytes, size: int, fat: list[int], keep: Any) -> int:
    if not data:
        return END
    start = len(fat)
    for place in range(0, len(data), size):
        keep(data[place : place + size].ljust(size, b"\0"))
        fat.append(len(fat) + 1)
    fat[-1] = END
    return start


def _entry(entry: dict[str, Any]) -> bytes:
    name = entry["name"].encode("utf-16-le") + b"\0\0"
    links = [entry.get(which, FREE) for which in ("left", "right", "child")]
    head = name.ljust(64, b"\0") + struct.pack("<HBB", len(name), entry["type"], 1)
    head += struct.pack("<III", *links) + bytes(36)
    return head + struct.pack("<IQ", entry.get("start", 0), entry["size"])
