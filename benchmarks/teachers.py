"""Teachers as the benchmarks take them."""

from __future__ import annotations

from pathlib import Path

from stillhouse.models.fetch import default_cache, locate
from stillhouse.models.importing import import_teacher
from stillhouse.storage.files import atomic_dir, digest

BUILD = Path(__file__).resolve().parent / "build"


def imported(teacher: str) -> Path:
    """A teacher of the local cache, or of a folder, as a folder of safetensors; made once."""
    folder = BUILD / f"teacher-{digest(teacher)[:12]}"
    if not folder.exists():
        source = locate(teacher, default_cache(), Path.cwd())
        with atomic_dir(folder) as made:
            import_teacher(teacher, source, made)
    return folder
