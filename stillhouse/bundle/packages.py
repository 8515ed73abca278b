"""The packages that the running environment consists of, as wheels.

`gather` is the one place beside `stillhouse teachers fetch` that uses a package index: the one that
pip is configured with here.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any

from stillhouse.errors import UserError
from stillhouse.progress import track
from stillhouse.storage.files import sha256_of

OURS = "stillhouse"
# A new environment brings its own.
LEFT_OUT = {"pip"}
# pip is asked for so many packages at once: between two calls it is said how far it is.
BATCH = 24
# The C library that a wheel of these older tags needs (PEP 513, 571, 599).
OLDER_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@dataclass(frozen=True)
class Package:
    """One wheel; `license` as its metadata states it, empty where they don't; `python` the versions
    of Python that it wants (a specifier)."""

    name: str
    version: str
    license: str
    python: str
    wheel: Path
    sha256: str


def gather(
    folder: Path, *, extras: Sequence[str] = (), only: Collection[str] | None = None
) -> list[Package]:
    """Put a wheel of every package into `folder`: our own, built from its source, and the very
    versions that are installed here. `only` narrows the others to these names.

    What only extras other than `extras` asked for (tests, benchmarks) stays out.

    Raises:
        UserError: this is no source checkout, a package is missing here, or pip can't get one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = _own_wheel(folder)
    requirements, known_extras = _requirements(own)
    chosen = environment(requirements, known_extras, extras)
    if only is not None:
        chosen = {name: version for name, version in chosen.items() if name in only}
    pins = [f"{name}=={version}" for name, version in sorted(chosen.items())]
    batches = [pins[start : start + BATCH] for start in range(0, len(pins), BATCH)]
    for batch in track(batches, "Gathering wheels", unit="batches"):
        _pip("wheel", "--no-deps", "--wheel-dir", str(folder), *batch)
    found = [_described(wheel) for wheel in sorted(folder.glob("*.whl"))]
    missing = chosen.keys() - {package.name for package in found}
    if missing:
        raise UserError(
            f"pip gave no wheel of {', '.join(sorted(missing))}",
            remedy="check that the index that pip is configured with has these versions.",
        )
    return found


def environment(
    requirements: Iterable[str], known_extras: Iterable[str], extras: Sequence[str]
) -> dict[str, str]:
    """Versions of what is installed here, by normalised name, without what only other extras of
    `requirements` asked for. Packages that nothing requires (those of requirements-nodeps.txt)
    are among them."""
    from packaging.utils import canonicalize_name

    if unknown := set(extras) - set(known_extras):
        raise UserError(
            f"there is no extra {', '.join(sorted(unknown))}",
            remedy=f"use some of {', '.join(sorted(known_extras))}.",
        )
    requirements = list(requirements)
    needed, missing = _leads_to(requirements, extras)
    if missing:
        raise UserError(
            f"this environment lacks {', '.join(sorted(missing))}",
            remedy="install stillhouse here as the README says, and make the bundle then.",
        )
    others = _leads_to(requirements, list(known_extras))[0] - needed
    there = {canonicalize_name(found.name): found.version for found in distributions()}
    return {n: v for n, v in there.items() if n not in {*others, *LEFT_OUT, OURS}}


def _leads_to(requirements: list[str], extras: Sequence[str]) -> tuple[set[str], set[str]]:
    """Names of the packages that the requirements lead to: those installed, and those not."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    wanted = [(Requirement(text), ("", *extras)) for text in requirements]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    found: set[str] = set()
    missing: set[str] = set()
    while wanted:
        requirement, asked = wanted.pop()
        marker, name = requirement.marker, canonicalize_name(requirement.name)
        if marker and not any(marker.evaluate({"extra": extra}) for extra in asked):
            continue
        if (key := (name, tuple(sorted(requirement.extras)))) in seen:
            continue
        seen.add(key)
        try:
            further = distribution(name).requires or []
        except PackageNotFoundError:
            missing.add(name)
            continue
        found.add(name)
        wanted += [(Requirement(text), ("", *requirement.extras)) for text in further]
    return found, missing


def source_tree() -> Path:
    """The checkout that runs; raises `UserError` where stillhouse was installed without one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").exists():
        raise UserError(
            "this stillhouse was installed without its sources, and a bundle is built from them",
            remedy="make the bundle from a checkout, after `make install` in it.",
        )
    return root


def _own_wheel(folder: Path) -> Path:
    """Built from a copy of the sources, so that the checkout stays as it is."""
    root = source_tree()
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    mapped = settings["tool"]["setuptools"]["package-dir"].values()
    with tempfile.TemporaryDirectory() as scratch:
        for name in (OURS, *mapped):
            shutil.copytree(root / name, Path(scratch) / name, symlinks=True, ignore=_CACHES)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copyfile(root / name, Path(scratch) / name)
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), scratch)
    (wheel,) = folder.glob(f"{OURS}-*.whl")
    return wheel


_CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info")


def _requirements(wheel: Path) -> tuple[list[str], list[str]]:
    """What the wheel requires, and its extras."""
    metadata = _metadata(wheel)
    return metadata.get_all("Requires-Dist") or [], metadata.get_all("Provides-Extra") or []


def _metadata(wheel: Path) -> Any:
    from email.parser import Parser
    from zipfile import ZipFile

    with ZipFile(wheel) as archive:
        # At the top: a wheel may carry others, with metadata of theirs.
        names = archive.namelist()
        (name,) = (n for n in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", n))
        return Parser().parsestr(archive.read(name).decode("utf-8"))


def _pip(command: str, *arguments: str) -> None:
    full = [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(  # noqa: S603
        [*full, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UserError(
            f"pip {command}: {reason[0] if reason else 'it failed'}",
            remedy="check that pip reaches the index it is configured with (`pip config list`), "
            "and that it has the versions that are installed here.",
        )


def _described(wheel: Path) -> Package:
    from packaging.utils import canonicalize_name

    metadata = _metadata(wheel)
    return Package(
        name=canonicalize_name(metadata["Name"]),
        version=metadata["Version"],
        license=_stated(metadata),
        python=str(metadata["Requires-Python"] or ""),
        wheel=wheel,
        sha256=sha256_of(wheel),
    )


def _stated(metadata: Any) -> str:
    """The licence by the core metadata (PEP 639), or by what came before it."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    classified = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and not line.endswith(":: OSI Approved")
    ]
    free = str(metadata["License"] or "").strip()
    # Some write the whole text there.
    return free if free and len(free) < 80 and "\n" not in free else "; ".join(classified)


def requirements_file(packages: Iterable[Package]) -> str:
    """What pip installs, each by its hash."""
    lines = [f"{p.name}=={p.version} --hash=sha256:{p.sha256}" for p in packages]
    return "\n".join(lines) + "\n"


def needs(packages: list[Package]) -> dict[str, str]:
    """The machine that these wheels run on: python (x.y), least (the first x.y.z that all of them
    allow), system, machine, glibc (x.y; the newest that any of them asks for)."""
    this = tuple(map(int, platform.libc_ver()[1].split("."))) or (0, 0)
    asked = [glibc for p in packages if (glibc := _glibc(p.wheel, this)) is not None]
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "least": _least_python([package.python for package in packages]),
        "system": platform.system(),
        "machine": platform.machine(),
        "glibc": ".".join(map(str, max(asked, default=(2, 17)))),
    }


def _least_python(wanted: list[str]) -> str:
    from packaging.specifiers import SpecifierSet

    major, minor, patch = platform.python_version_tuple()
    allowed = SpecifierSet(",".join(filter(None, wanted)))
    patches = range(int(re.match(r"\d+", patch)[0]) + 1)  # type: ignore[index]
    found = (f"{major}.{minor}.{number}" for number in patches)
    return next((v for v in found if allowed.contains(v)), platform.python_version())


def _glibc(wheel: Path, this: tuple[int, ...]) -> tuple[int, ...] | None:
    """The oldest C library that the wheel runs with; None where it is of pure Python."""
    from packaging.utils import parse_wheel_filename

    found: list[tuple[int, ...]] = []
    for tag in parse_wheel_filename(wheel.name)[3]:
        kind = tag.platform
        if kind == "any":
            return None
        if version := re.match(r"manylinux_(\d+)_(\d+)_", kind):
            found.append((int(version[1]), int(version[2])))
        else:  # built here, of no tag that says it, or of an older one
            found.append(OLDER_TAGS.get(kind.partition("_")[0], this))
    return min(found)


def installed_bytes(names: Iterable[str]) -> int:
    """Bytes of these packages as installed here, by their records."""
    return sum(file.size or 0 for name in names for file in _files(distribution(name)))


def _files(found: Distribution) -> list[Any]:
    return list(found.files or [])
