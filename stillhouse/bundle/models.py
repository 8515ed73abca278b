"""Models and the sample project, by their places in a bundle.

Models that came as packages (spaCy's, the recognizer's, those of OCR) are among the wheels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from stillhouse.bundle.packages import source_tree
from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.models.fetch import default_cache, locate, parse_model
from stillhouse.models.sources import files_of

MODELS, EXAMPLE = "models", "example"
SAMPLE = "examples/helpdesk"
# Of the sample's folder these are what runs and builders leave there.
NO_SAMPLE = {"data", "build"}


@dataclass(frozen=True)
class PackedModel:
    """A model that no wheel brings: `place` is where it lies below `models/`."""

    name: str
    license: str
    place: str
    files: dict[str, Path]

    @property
    def entries(self) -> dict[str, Path]:
        """Its files by their names in the bundle."""
        return {f"{MODELS}/{self.place}/{name}": file for name, file in self.files.items()}


def models_of(projects: list[Project]) -> tuple[list[PackedModel], list[str]]:
    """The teachers that the projects name and that are here, and folders of theirs that hold a
    spaCy model or a recognizer; and the names of teachers that are not here, with why."""
    found: dict[str, PackedModel] = {}
    absent: dict[str, str] = {}
    for project in projects:
        for teacher in project.teachers:
            try:
                model = _teacher(project, teacher.model, teacher.license or "")
            except UserError as error:
                absent[teacher.model] = error.message
            else:
                found[model.place] = model
        privacy = project.privacy
        for named in (privacy.nlp_model, privacy.recognizer):
            folder = project.root / named
            if folder.is_dir():
                place = f"others/{folder.name}"
                found[place] = PackedModel(named, "", place, _below(folder))
    return list(found.values()), [f"{model}: {why}" for model, why in absent.items()]


def _teacher(project: Project, model: str, licence: str) -> PackedModel:
    """Raises `UserError` where it isn't on this machine."""
    source, cache = parse_model(model), default_cache()
    path = locate(model, cache, project.root, project.registry)
    made = PackedModel(model, licence, "", _files(path))
    if source.kind == "pypi":
        place = source.cached_in(Path("cache")).as_posix()
        return replace(made, place=place, files=_below(path))
    if source.kind == "hf":
        # As the hub's own library looks for it: a revision by name leads to a folder.
        owner = f"huggingface/hub/models--{source.name.replace('/', '--')}"
        files = {f"snapshots/{path.name}/{name}": file for name, file in _below(path).items()}
        reference = path.parent.parent / "refs" / (source.version or "main")
        if reference.is_file():
            files[f"refs/{reference.name}"] = reference
        return replace(made, place=owner, files=files)
    return replace(made, place=f"teachers/{path.name}" if path.is_dir() else "teachers")


def _files(path: Path) -> dict[str, Path]:
    if path.is_file():
        return {path.name: path}
    return {file.relative_to(path).as_posix(): file for file in files_of(path)}


def _below(folder: Path) -> dict[str, Path]:
    return {f.relative_to(folder).as_posix(): f for f in sorted(folder.rglob("*")) if f.is_file()}


def sample() -> tuple[Project, dict[str, Path]]:
    """The sample project, and its files by their names in the bundle: what it made stays here."""
    folder = source_tree() / SAMPLE
    project = load_project(folder)
    data = project.data_path.resolve()
    files = {}
    for name, file in _below(folder).items():
        parts = Path(name).parts
        hidden = any(part.startswith(".") for part in parts)
        if hidden or parts[0] in NO_SAMPLE or data in file.resolve().parents:
            continue
        files[f"{EXAMPLE}/{name}"] = file
    return project, files
