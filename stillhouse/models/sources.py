"""Which files make a model as it came: a file, a folder of one model, an unpacked package."""

from __future__ import annotations

from pathlib import Path

from stillhouse.storage.layout import Layout


def files_of(source: Path) -> list[Path]:
    """The files of a model's source, in order; hidden ones and what this house put beside are none.

    A folder with a configuration or weights at its top is one model's. Such a one may lie where
    results of a teacher version lie too (see `Layout.teacher`).
    """
    if source.is_file():
        return [source]
    ours = Layout.TEACHER_PARTS if is_flat(source) else ()
    found = []
    for entry in source.iterdir():
        if entry.name.startswith(".") or entry.name in ours:
            continue
        inside = entry.rglob("*") if entry.is_dir() else [entry]
        found += [file for file in inside if file.is_file()]
    return sorted(found)


def is_flat(folder: Path) -> bool:
    """Whether the folder is that of one model, not one that has a model somewhere below it."""
    return (folder / "config.json").exists() or any(folder.glob("*.gguf"))
