"""Releases on disk: written whole, signed, never changed; and verified before they are used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stillhouse.errors import UserError
from stillhouse.release.bill import BILL, bill
from stillhouse.release.card import README, card
from stillhouse.release.dossier import MODEL, release_id
from stillhouse.release.libraries import used
from stillhouse.release.measured import measured
from stillhouse.release.signing import (
    is_signed,
    load_key,
    load_or_create_key,
    public_pem,
    signature,
)
from stillhouse.report.assemble import EVALUATION
from stillhouse.report.use import masks
from stillhouse.storage.files import atomic_dir, atomic_file, read_json, sha256_of
from stillhouse.storage.layout import Layout
from stillhouse.storage.log import user_name

MANIFEST, SIGNATURE, PUBLIC_KEY = "manifest.json", "manifest.sig", "release.pub"
KEY = "release"
_UNLISTED = {MANIFEST, SIGNATURE, PUBLIC_KEY}


def publish(
    layout: Layout,
    content: Mapping[str, Any],
    files: Mapping[str, Path],
    learned_from: Path,
    *,
    by: str | None = None,
) -> str:
    """Write the release that `content` describes (see `dossier`), and return its id; one that is
    there already is verified, and stays as it is. The caller holds the lock of the student's
    releases, and keeps `files` (by their names in the release) as they are.

    Raises:
        UserError: the release is there and was edited, or the key can't be used.
    """
    student, release = content["student"], release_id(content)
    folder = layout.release(student, release)
    if folder.exists():
        read_manifest(layout, student, release, files=True)
        return release
    key = load_or_create_key(layout.key(KEY))
    beside = layout.release_learned_from(student, release)
    if learned_from.exists():
        with atomic_file(beside) as temporary:
            shutil.copyfile(learned_from, temporary)
    user, now = user_name(), datetime.now(UTC).isoformat(timespec="seconds")
    manifest = {
        **content,
        "release": release,
        "created": {"time": now, "user": user, "by": by or user},
        "learned_from": {"sha256": sha256_of(beside)} if learned_from.exists() else None,
    }
    with atomic_dir(folder) as target:
        # Of a release that is made of another one, what describes it is written anew.
        for name in sorted(files.keys() - {README, BILL}):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files[name], target / name)
        listed = {n: _listed(target / n, size) for n, size in _sizes(target).items()}
        _describe(target, manifest, listed)
        for name in (README, BILL):
            listed[name] = _listed(target / name, (target / name).stat().st_size)
        manifest["files"] = listed
        # Not sorted: an answer has its fields in the order of the task's settings.
        data = json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"
        (target / MANIFEST).write_bytes(data)
        (target / SIGNATURE).write_text(signature(key, data), encoding="ascii")
        (target / PUBLIC_KEY).write_text(public_pem(key), encoding="ascii")
    return release


def _describe(target: Path, manifest: Mapping[str, Any], files: Mapping[str, Any]) -> None:
    """The model card and the bill of materials, beside the files that they are about."""
    report = target / EVALUATION
    evaluation = read_json(report) if report.exists() else {}
    figures, masked = measured(evaluation), masks(evaluation)
    text = bill(manifest, files, figures, used(manifest["libraries"]), masked=masked)
    (target / BILL).write_text(text, encoding="utf-8")
    (target / README).write_text(card(manifest, figures, masked=masked), encoding="utf-8")


def _listed(path: Path, size: int) -> dict[str, Any]:
    return {"bytes": size, "sha256": sha256_of(path)}


def _sizes(folder: Path) -> dict[str, int]:
    """Size in bytes of every file below `folder`, by name; what is no file or folder counts -1."""
    return {
        path.relative_to(folder).as_posix(): path.lstat().st_size
        if path.is_file() and not path.is_symlink()
        else -1
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def read_manifest(
    layout: Layout, student: str, release: str, *, files: bool = False
) -> dict[str, Any]:
    """The manifest of a release, after its signature was verified; with `files`, every file too.

    Raises:
        UserError: there is no such release; it was edited (and which file); it is another one's
            manifest; or this installation's key did not sign it.
    """
    folder = layout.release(student, release)
    try:
        data, signed = (folder / MANIFEST).read_bytes(), (folder / SIGNATURE).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        if not folder.is_dir():
            raise UserError(
                f"there is no release {release} of {student}",
                remedy="`stillhouse releases` lists those that there are.",
            ) from None
        raise _edited(folder, MANIFEST, "it, or its signature, can't be read") from error
    if not is_signed(load_key(layout.key(KEY)), data, signed):
        raise _edited(folder, MANIFEST, "its signature is not this installation's")
    manifest: dict[str, Any] = json.loads(data)
    if (manifest["student"], manifest["release"]) != (student, release):
        raise _edited(folder, MANIFEST, "it is that of another release")
    if files:
        for name, why in _differing(folder, manifest["files"]):
            raise _edited(folder, name, why)
    return manifest


def _edited(folder: Path, name: str, why: str) -> UserError:
    return UserError(
        f"{folder / name}: {why}: this release was edited or damaged, and is not used",
        remedy="restore the folder from a backup; or `stillhouse releases remove` it, and release "
        "the student again.",
    )


def _differing(folder: Path, listed: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    there = {name: size for name, size in _sizes(folder).items() if name not in _UNLISTED}
    for name in sorted(listed.keys() | there.keys()):
        if name not in listed:
            yield name, "the manifest doesn't name it"
        elif name not in there:
            yield name, "it is missing"
        elif there[name] != listed[name]["bytes"]:
            yield name, "its size is not what the manifest says"
        elif sha256_of(folder / name) != listed[name]["sha256"]:
            yield name, "its content is not what the manifest says"


def released_model(layout: Layout, manifest: Mapping[str, Any]) -> tuple[Path, int]:
    """The folder of a release's weights, and how many tokens of a prompt and its answer they
    learned from at most: what it takes to ask it as it was asked then."""
    folder = layout.release(manifest["student"], manifest["release"])
    return folder / MODEL, manifest["settings"]["checkpoint"]["max_tokens"]


def releases_of(layout: Layout, student: str) -> list[str]:
    """Ids of the student's releases, by the time at which they came to be."""
    folders = list(layout.release(student, "x").parent.glob("[!.]*/"))
    return [f.name for f in sorted(folders, key=lambda folder: folder.stat().st_mtime_ns)]


def students_with_releases(layout: Layout) -> list[str]:
    return sorted(folder.name for folder in layout.releases.glob("[!.]*/"))


def find_release(layout: Layout, release: str, student: str | None = None) -> tuple[str, str]:
    """Student and id of the release (of `student`) that is called, or whose id begins, like this.

    Raises `UserError` when there is none, or more than one.
    """
    found = [
        (owner, name)
        for owner in ([student] if student else students_with_releases(layout))
        for name in releases_of(layout, owner)
        if name.startswith(release)
    ]
    exact = [pair for pair in found if pair[1] == release]
    if len(exact or found) != 1:
        raise UserError(
            f"{len(found) or 'no'} releases are called {release}",
            remedy="`stillhouse releases` lists them; give as much of an id as tells it from "
            "the others.",
        )
    return (exact or found)[0]
