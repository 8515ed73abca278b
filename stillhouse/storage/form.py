"""Which form a data directory has, by `form.json` in it: releases tell each other's apart."""

from __future__ import annotations

from pathlib import Path

from stillhouse.errors import UserError
from stillhouse.storage.files import read_json, write_json
from stillhouse.storage.provenance import library_versions

# Raised when a release can't read what another one wrote; then `stillhouse/upgrade.py` says how one
# becomes the other.
FORM = 2
FILE = "form.json"
# Where there is none of these, nothing was made yet.
MADE = ("tables", "teachers", "students", "economics")


def form_of(root: Path) -> int | None:
    """The form of the data directory `root`; None where nothing was made yet. Releases before this
    file left none: 1.

    Raises `UserError` when it is of a newer release, or can't be told.
    """
    try:
        said = read_json(root / FILE)
    except FileNotFoundError:
        return 1 if any((root / name).exists() for name in MADE) else None
    except (OSError, ValueError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("form"), int) or said["form"] < 1:
        raise UserError(
            f"{root / FILE}: it doesn't say which form this data directory has",
            remedy="restore it from a backup.",
        )
    form = int(said["form"])
    if form > FORM:
        by = str(said.get("stillhouse", "a newer release"))
        raise UserError(
            f"{root}: its form is {form}, written by stillhouse {by}; this release knows "
            f"{FORM} at most",
            remedy=f"install stillhouse {by} or later; or restore a backup from before the "
            "upgrade into another `data_dir`.",
        )
    return form


def write_form(root: Path, form: int) -> None:
    said = {"form": form, **library_versions(("stillhouse",))}
    write_json(root / FILE, said)
