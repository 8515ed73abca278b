"""Is everything here that a run needs?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from stillhouse.config.project import Project
from stillhouse.config.student import Student
from stillhouse.config.teacher import Teacher
from stillhouse.errors import UserError
from stillhouse.models.admission import admit, admit_base
from stillhouse.own_files import OWN_FILES
from stillhouse.storage.layout import Layout

FREE_BYTES_NEEDED = 5 << 30


@dataclass(frozen=True)
class Finding:
    subject: str
    ok: bool
    message: str


def examine(project: Project) -> list[Finding]:
    """Findings on the machine, the sources and other files of the user's, the models and their
    licences, and the disk."""
    return [
        *_machine(),
        *_sources(project),
        *_own_files(project),
        _language_model(project),
        _recognizer(project),
        *(_teacher(project, teacher) for teacher in project.teachers),
        *(_server(project, teacher) for teacher in project.teachers if teacher.elsewhere),
        *(_base(project, student) for student in project.students if student.init.base),
        _disk(project),
    ]


def _machine() -> Iterator[Finding]:
    import os

    import torch

    cores = os.cpu_count() or 1
    yield Finding("processor", True, f"{cores} cores")
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        yield Finding("GPU", True, f"{name}, {free >> 30} of {total >> 30} GiB free")
    else:
        yield Finding("GPU", True, "none; everything runs on the processor, small models only")


def _sources(project: Project) -> Iterator[Finding]:
    from stillhouse.corpus.sources import list_files

    try:
        yield Finding("sources", True, f"{sum(1 for _ in list_files(project))} files")
    except UserError as error:
        yield Finding("sources", False, str(error))


def _own_files(project: Project) -> Iterator[Finding]:
    for subject, look in OWN_FILES.items():
        try:
            message = look(project)
        except UserError as error:
            yield Finding(subject, False, str(error))
        else:
            if message is not None:
                yield Finding(subject, True, message)


def _language_model(project: Project) -> Finding:
    from stillhouse.corpus.nlp import model_version

    name = project.privacy.nlp_model
    try:
        return Finding("language model", True, f"{name} {model_version(name)}")
    except UserError as error:
        return Finding("language model", False, str(error))


def _recognizer(project: Project) -> Finding:
    from stillhouse.corpus.pii.token_classifier import NO_MODEL, at_root, version_of

    model = project.privacy.recognizer
    subject = "recognizer of personal data"
    if model == NO_MODEL:
        return Finding(subject, True, "none: addresses and identity numbers are found by patterns")
    try:
        version_of(at_root(model, project.root))
    except UserError as error:
        return Finding(subject, False, str(error))
    return Finding(subject, True, model)


def _teacher(project: Project, teacher: Teacher) -> Finding:
    subject = f"teacher {teacher.version}"
    try:
        found = admit(teacher, project, None)
    except UserError as error:
        return Finding(subject, False, str(error))
    licence, said = found.licence, f"{found.licence.licence}, allowed by {found.licence.allowed_by}"
    if licence.accepted:
        said += f" ({licence.accepted})"
    for field in licence.unanswered:
        said += f"; license_policy.{field} would decide a condition of it and is not set"
    return Finding(subject, True, "; ".join([f"{said}; {found.source}", *licence.duties]))


def _server(project: Project, teacher: Teacher) -> Finding:
    """Whether the server that runs a teacher is there, and has its model; nothing else is asked."""
    from stillhouse.endpoint.client import Client, access_of
    from stillhouse.endpoint.served import entry_of
    from stillhouse.models.endpoints import parse_endpoint

    subject, impatient = f"server of {teacher.version}", {"patience": 5.0, "timeout": 5.0}
    asked = teacher.model_copy(update={"endpoint": teacher.endpoint.model_copy(update=impatient)})
    access = access_of(asked, project, Layout(project.data_path))
    assert access is not None  # noqa: S101 - a server runs it
    try:
        address = parse_endpoint(teacher.model)
        client = Client(address.url, access)
        try:
            entry_of(client, address.model)
        finally:
            client.close()
    except UserError as error:
        return Finding(subject, False, str(error))
    return Finding(subject, True, f"{client.where} lists {address.model}")


def _base(project: Project, student: Student) -> Finding:
    subject = f"student {student.name} begins as"
    try:
        found = admit_base(student, project)
    except UserError as error:
        return Finding(subject, False, str(error))
    assert found is not None  # noqa: S101 - it names a model
    return Finding(subject, True, f"{found.licence.licence}; {found.source}")


def _disk(project: Project) -> Finding:
    folder = project.data_path
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    message = f"{free >> 30} GiB free at {folder}"
    if free < FREE_BYTES_NEEDED:
        message += "; free some, or set `data_dir` in the project file to a larger disk"
    return Finding("disk", free >= FREE_BYTES_NEEDED, message)
