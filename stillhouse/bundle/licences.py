"""The full texts of all licences in a bundle, as wheels and models bring them."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import ZipFile

from stillhouse.bundle.models import MODELS, PackedModel
from stillhouse.bundle.packages import Package

LICENCES = "licences"
_TEXT = re.compile(r"(licen[cs]es?|copying|notice|copyright)\b", re.IGNORECASE)
_CODE = (".py", ".pyi", ".pyc", ".json", ".so", ".h", ".js")


def licence_texts(package: Package) -> dict[str, bytes]:
    """Licence texts and notices in a wheel, those of what it carries too, by their names below
    `licences/`. Empty where it has none: its metadata may still name the licence."""
    found = {}
    with ZipFile(package.wheel) as archive:
        for member in archive.infolist():
            if not member.is_dir() and _is_text(member.filename):
                # Metadata's own folder first: it is that of the package itself.
                name = re.sub(r"^[^/]+\.dist-info/(licenses/)?", "", member.filename)
                key = f"{LICENCES}/{package.name}-{package.version}/{name}"
                found[key] = archive.read(member)
    return found


def _is_text(name: str) -> bool:
    path = Path(name)
    in_folder = any(part in ("licenses", "LICENSES") for part in path.parts[:-1])
    text = _TEXT.match(path.name) is not None or in_folder
    return text and path.suffix.lower() not in _CODE


def model_licences(model: PackedModel) -> dict[str, bytes]:
    """Licence files and cards that lie with a model."""
    return {
        f"{LICENCES}/{MODELS}/{model.place}/{name}": file.read_bytes()
        for name, file in model.files.items()
        if _is_text(name) or Path(name).name.lower() == "readme.md"
    }
