"""A bundle as one file: a tar archive, not compressed, as wheels and weights are already.

What is in it is listed with sizes and SHA-256 in `manifest.json`, which is signed as releases are;
`SHA256SUMS` says the same for sha256sum, which needs nothing installed.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.bundle import packages as wheels
from stillhouse.bundle.bom import bill_of_materials
from stillhouse.bundle.check import FORM, MANIFEST, PUBLIC_KEY, SIGNATURE, SUMS
from stillhouse.bundle.licences import licence_texts, model_licences
from stillhouse.bundle.models import PackedModel, models_of, sample
from stillhouse.bundle.packages import OURS, Package
from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.progress import track
from stillhouse.release.published import KEY
from stillhouse.release.signing import load_or_create_key, public_pem, signature
from stillhouse.storage.files import Hashed, atomic_file
from stillhouse.storage.layout import Layout

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

INSTALLER, PLATFORM, REQUIREMENTS = "install.sh", "PLATFORM", "requirements.txt"
BOM, OWN_LICENCE = "bom.cdx.json", "LICENSE"
MARGIN = 1.2  # of the estimate, how much disk has to be free


@dataclass(frozen=True)
class Bundle:
    """What was written: `absent` are teachers that are not in it, with why; `untold` packages
    whose wheels carry no licence text."""

    packages: int
    models: int
    bytes: int
    absent: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)


def write_bundle(
    project: Project,
    out: Path,
    *,
    extras: Sequence[str] = (),
    only: Collection[str] | None = None,
) -> Bundle:
    """Write everything that a machine without a network needs into the archive `out`, whole or
    not at all: what is installed here as wheels, the models that the project and the sample name,
    the sample, licences, a bill of materials. Of what the project holds nothing goes in; the
    release key in its data directory signs.

    `only` narrows the packages beside our own to these names.

    Raises:
        UserError: `out` lies in the data directory or is there already, the disk is too small, or
            as `packages.gather`.
    """
    _refuse(out, project.data_path)
    example, example_files = sample()
    models, absent = models_of([project, example])
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        _require_space(out.parent, models)
        found = wheels.gather(Path(scratch) / "wheels", extras=extras, only=only)
        texts = {p.name: licence_texts(p) for p in found}
        entries: dict[str, Path | bytes] = {f"wheels/{p.wheel.name}": p.wheel for p in found}
        for model in models:
            entries |= model.entries
        entries |= example_files
        for text in (*texts.values(), *map(model_licences, models)):
            entries |= text
        platform = wheels.needs(found) | {"bytes": str(_installed(found, models))}
        entries |= _small(found, models, platform)
        about = {
            "form": FORM,
            "stillhouse": next(p.version for p in found if p.name == OURS),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "platform": platform,
            "packages": [_said(p, sorted(texts[p.name])) for p in found],
            "models": [{"name": m.name, "license": m.license, "place": m.place} for m in models],
        }
        key = load_or_create_key(Layout(project.data_path).key(KEY))
        with atomic_file(out) as temporary:
            _write(temporary, f"{OURS}-{about['stillhouse']}", entries, about, key)
            temporary.chmod(0o644)  # nothing in it is secret
    untold = [p.name for p in found if not texts[p.name]]
    return Bundle(len(found), len(models), out.stat().st_size, absent, untold)


def _refuse(out: Path, data: Path) -> None:
    place = out.parent.resolve()
    if data.resolve() in (place, *place.parents):
        raise UserError(
            f"{out}: a bundle is no data of the project, and this is its data directory",
            remedy="name a file somewhere else.",
        )
    if out.exists():
        raise UserError(f"{out}: it is there already", remedy="remove it, or name another file.")
    if not place.is_dir():
        raise UserError(f"{place}: there is no such folder", remedy="make it first.")


def _require_space(folder: Path, models: list[PackedModel]) -> None:
    """Wheels are there twice while the archive is written; they are about 0.4 of what they install,
    in the archive and beside it."""
    from importlib.metadata import distributions

    packed = 0.8 * wheels.installed_bytes(found.name for found in distributions())
    needed = int(MARGIN * (packed + _bytes(models)))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {free / 1e9:.1f} GB are free, and a bundle may need {needed / 1e9:.1f}",
            remedy="free some, or name a file on a larger disk.",
        )


def _bytes(models: list[PackedModel]) -> int:
    return sum(file.stat().st_size for model in models for file in model.files.values())


def _installed(packages: list[Package], models: list[PackedModel]) -> int:
    """Bytes that an installation takes, about."""
    others = [p.name for p in packages if p.name != OURS]
    return wheels.installed_bytes(others) + _bytes(models)


def _small(
    packages: list[Package], models: list[PackedModel], platform: Mapping[str, str]
) -> dict[str, bytes]:
    said = "".join(f"{name}={value}\n" for name, value in platform.items())
    return {
        INSTALLER: (package_files(__package__) / INSTALLER).read_bytes(),
        PLATFORM: said.encode(),
        REQUIREMENTS: wheels.requirements_file(packages).encode(),
        BOM: bill_of_materials(packages, models),
    }


def _said(package: Package, texts: list[str]) -> dict[str, Any]:
    return {
        "name": package.name,
        "version": package.version,
        "license": package.license,
        "wheel": package.wheel.name,
        "license_texts": texts,
    }


def _write(
    target: Path,
    top: str,
    entries: Mapping[str, Path | bytes],
    about: Mapping[str, Any],
    key: Ed25519PrivateKey,
) -> None:
    listed: dict[str, dict[str, Any]] = {}
    with tarfile.open(target, "w") as out:
        names = track(sorted(entries), "Writing the bundle", unit="files", total=len(entries))
        for name in names:
            listed[name] = _add(out, f"{top}/{name}", entries[name])
        manifest = {**about, "files": listed}
        data = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n"
        signed = {
            MANIFEST: data,
            SIGNATURE: signature(key, data).encode(),
            PUBLIC_KEY: public_pem(key).encode(),
        }
        for name, content in signed.items():
            listed[name] = _add(out, f"{top}/{name}", content)
        sums = "".join(f"{said['sha256']}  {name}\n" for name, said in sorted(listed.items()))
        _add(out, f"{top}/{SUMS}", sums.encode())


def _add(out: tarfile.TarFile, name: str, content: Path | bytes) -> dict[str, Any]:
    """Size and digest of what was added."""
    if "\n" in name or "\\" in name:
        raise UserError(f"{name!r}: a file of this name can't be listed", remedy="rename it.")
    entry = tarfile.TarInfo(name)
    entry.mode = 0o755 if name.endswith(f"/{INSTALLER}") else 0o644
    entry.mtime = int(datetime.now(UTC).timestamp())
    with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as stream:
        entry.size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        hashed = Hashed(stream)
        out.addfile(entry, hashed)  # type: ignore[arg-type]
    return {"bytes": entry.size, "sha256": hashed.sha256.hexdigest()}
