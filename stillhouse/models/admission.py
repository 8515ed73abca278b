"""May this teacher be used, and is it still the one that its version stands for?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stillhouse.config.project import Project
from stillhouse.config.registry import RegisteredTeacher
from stillhouse.config.student import Student
from stillhouse.config.teacher import Teacher
from stillhouse.errors import UserError
from stillhouse.models.endpoints import tokenizer_folder
from stillhouse.models.fetch import default_cache, locate
from stillhouse.models.licence import LicenceRecord, Statement, check_licence, stated_licences
from stillhouse.models.licence_terms import Circumstances
from stillhouse.storage.files import read_json
from stillhouse.storage.provenance import Recipe


@dataclass(frozen=True)
class Admitted:
    """A teacher that the policy allows; `stated` is what its files say of their licence."""

    source: Path
    licence: LicenceRecord
    stated: list[dict[str, str]]


def admit(teacher: Teacher, project: Project, imported: Mapping[str, Any] | None) -> Admitted:
    """Compare the teacher's licence with the policy; `imported` are the facts of an earlier import.

    Where the weights as they came are no longer on this machine, what they stated when they were
    imported counts. Raises `UserError` when the policy forbids the teacher, or it is nowhere.
    """
    try:
        if teacher.elsewhere:  # what lies beside its tokenizer speaks for it
            source = tokenizer_folder(teacher, project.root, project.registry)
        else:
            source = locate(teacher.model, default_cache(), project.root, project.registry)
        stated = stated_licences(source)
    except UserError:
        if imported is None or imported.get("model") != teacher.model:
            raise
        source, stated = Path(), [Statement(**x) for x in imported["license_stated"]]
    licence = allowed(teacher, project, stated, multimodal=is_multimodal(source))
    return Admitted(source, licence, [asdict(s) for s in stated])


def admit_base(student: Student, project: Project, *, made: bool = False) -> Admitted | None:
    """The same of the model that a student begins as, which is known as "<student>.init.from";
    None where it is cut from its teacher. It need not be on this machine any more once the student
    is `made`: then the licence that was declared counts."""
    if student.init.base is None:
        return None
    version = f"{student.name}.init.from"
    base = Teacher(version=version, model=student.init.base, license=str(student.init.license))
    try:
        source = locate(base.model, default_cache(), project.root, project.registry)
        stated = stated_licences(source)
    except UserError:
        if not made:
            raise
        source, stated = Path(), []
    licence = allowed(base, project, stated, multimodal=is_multimodal(source), is_cut=True)
    return Admitted(source, licence, [asdict(s) for s in stated])


def allowed(
    teacher: Teacher,
    project: Project,
    stated: list[Statement],
    *,
    multimodal: bool,
    is_cut: bool | None = None,
) -> LicenceRecord:
    """What the project's policy says of a teacher that states this; see `check_licence`.

    `is_cut` says whether students are derivatives of it: by default, where each is made of its
    weights, and not of a server's answers or of another model's layers.
    """
    policy = project.license_policy
    if is_cut is None:
        is_cut = not teacher.elsewhere and all(s.init.base is None for s in project.students)
    return check_licence(
        teacher.version,
        teacher.license,
        stated,
        allow=policy.allow,
        accepted_terms=policy.accepted_terms,
        policy_source=str(project.file),
        circumstances=Circumstances(
            region=policy.region,
            monthly_users=policy.monthly_users,
            commercial=policy.commercial,
            multimodal=multimodal,
            is_cut=is_cut,
        ),
    )


def is_multimodal(source: Path) -> bool:
    """Whether the model in the folder `source` sees or hears too, by its configuration."""
    try:
        config = read_json(source / "config.json")
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and any(f"{x}_config" in config for x in ("vision", "audio"))


def refuse_edited(teacher: Teacher, made: Recipe | None, now: Recipe) -> None:
    """A version stands for one content: raise `UserError` when its source changed under its name,
    since it was `made`, or since it was found in the registry.

    Labels and students of the version would otherwise silently come from two teachers.
    """
    if isinstance(teacher, RegisteredTeacher) and now.inputs.get("source") != teacher.found.digest:
        raise UserError(
            f"teacher version {teacher.version}: its files are not those that were found in the "
            "registry",
            remedy="bring them as they were, or the changed model under a name of its own; "
            f"`stillhouse teachers remove {teacher.version}` takes this version out.",
        )
    if made is None:
        return
    field = f"teachers: version {teacher.version}: model"
    remedy = (
        "give the changed model a version of its own below this one, and leave this one as it "
        "was; or remove the version's folder below teachers/ in the data directory to make "
        "everything of it anew."
    )
    if made.settings.get("model") != now.settings.get("model"):
        raise UserError(f"{field}: it was another model when it was imported", remedy=remedy)
    if made.inputs.get("source") != now.inputs.get("source"):
        if teacher.elsewhere:
            what = "its tokenizer, or how it is asked (endpoint)"
            raise UserError(f"{field}: {what}, changed since it was recorded", remedy=remedy)
        raise UserError(f"{field}: its files changed since they were imported", remedy=remedy)
