"""`stillhouse teachers`: versions of the project file and the registry, and what became of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.options import ProjectOption, TeacherOption
from stillhouse.config.base import is_slug
from stillhouse.config.project import Project, load_project
from stillhouse.config.registry import RegisteredTeacher
from stillhouse.errors import UserError
from stillhouse.release.channels import CHANNELS, pointed
from stillhouse.release.published import read_manifest, students_with_releases
from stillhouse.storage.layout import Layout
from stillhouse.storage.log import user_name
from stillhouse.wording import human_bytes, plain

app = typer.Typer(help="Teacher versions.", no_args_is_help=True)

# How long `list` reads new weights; the rest is read at the next look.
SECONDS = 20.0


@app.command("list")
def list_teachers(project: ProjectOption = None) -> None:
    """Teacher versions, and how far each has come; what waits in the registry, and why."""
    from stillhouse.models.registry import look

    settings = load_project(project)
    try:
        candidates = {c.version: c for c in look(settings, seconds=SECONDS, take=False)}
    except UserError as error:
        candidates = {}
        _say("registry", str(error))
    for teacher in settings.teachers:
        typer.secho(teacher.version, bold=True)
        typer.echo(f"  {teacher.model}, {teacher.license}")
        typer.echo(f"  {_progress(settings, teacher.version)}")
        if isinstance(teacher, RegisteredTeacher):
            typer.echo(f"  {_found(teacher)}")
        candidate = candidates.pop(teacher.version, None)
        if candidate is not None and candidate.reason:
            _say(candidate.state, candidate.reason)
    for version, candidate in candidates.items():
        typer.secho(plain(version), bold=True)
        new = f"new; `stillhouse teachers add {version}` makes it a version"
        _say(candidate.state, candidate.reason or new)
        if candidate.teacher is not None:
            typer.echo(f"  {_found(candidate.teacher)}")


def _progress(settings: Project, version: str) -> str:
    from stillhouse.outside import open_state
    from stillhouse.state import Artefact
    from stillhouse.steps import STEPS

    state = open_state(settings)
    record = state.record(Artefact(STEPS["adapted_teacher"], version))
    if record is not None:
        score, chance = record.facts["score"], record.facts["chance"]
        return f"in use: score on validation {score:.3f} (chance {chance:.3f})"
    imported = state.record(Artefact(STEPS["teacher_model"], version)) is not None
    return "in use: imported" if imported else "not materialized"


def _found(teacher: RegisteredTeacher) -> str:
    found = teacher.found
    chat = "a" if found.chat_template else "no"
    # From the model's own files.
    return plain(
        f"{found.architecture}, {found.parameters:,} parameters in {found.precision}, "
        f"{human_bytes(found.bytes)}; {found.tokenizer} of {found.vocabulary:,} tokens, "
        f"{chat} chat template; digest {found.digest}"
    )


def _say(state: str, reason: str) -> None:
    # Whoever named the files is not trusted with the terminal.
    first, *others = [plain(line) for line in f"{state}: {reason}".splitlines()]
    colour = typer.colors.RED if state == "refused" else typer.colors.YELLOW
    typer.secho("\n".join([f"  {first}", *(f"    {line}" for line in others)]), fg=colour)


@app.command("add")
def add_teachers(
    version: Annotated[
        str | None, typer.Argument(help="Only this one, whole as it lies in the registry.")
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Make versions of the project file and the registry partitions, for runs and backfills."""
    from stillhouse.instance import open_instance, register_teachers
    from stillhouse.models.registry import look, take_back

    settings = load_project(project)
    if version is None:
        candidates = look(settings)
    elif is_slug(version) and version not in _of_file(settings):
        take_back(settings, version)
        # Who names it says that it is all there.
        candidates = look(settings, only=version, quiet=0.0)
        if not candidates:
            settings.teacher(version)  # says which there are
        for candidate in candidates:
            if candidate.state != "complete":
                raise UserError(
                    f"{version}: {candidate.state}: {candidate.reason}",
                    remedy="bring what it lacks, and add it again.",
                )
    else:
        settings.teacher(version)
        candidates = []
    for candidate in candidates:
        if candidate.reason:
            typer.echo(plain(candidate.version))
            _say(candidate.state, candidate.reason)
    settings = load_project(settings.file)
    with open_instance(settings) as instance:
        new = register_teachers(instance, settings)
    typer.echo(f"Added {', '.join(new)}." if new else "All versions were registered already.")


@app.command("fetch")
def fetch_teachers(project: ProjectOption = None, teacher: TeacherOption = None) -> None:
    """Bring the teachers' weights onto this machine: the one command that uses the network."""
    from stillhouse.models.fetch import default_cache, fetch

    settings = load_project(project)
    for chosen in [settings.teacher(teacher)] if teacher else settings.teachers:
        if chosen.elsewhere:
            typer.echo(f"{chosen.version}: a server runs it; there is nothing to fetch")
            continue
        path = fetch(chosen.model, default_cache(), settings.root, settings.registry)
        typer.echo(f"{chosen.version}: {path}")
    for student in settings.students:
        if student.init.base is not None:
            path = fetch(student.init.base, default_cache(), settings.root, settings.registry)
            typer.echo(f"{student.name} begins as: {path}")


@app.command("remove")
def remove_teacher(
    version: Annotated[str, typer.Argument(help="A version, mistyped or not wanted any more.")],
    project: ProjectOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
) -> None:
    """Take a version out: its partition, its runs, and all that was made of it."""
    from stillhouse.instance import open_instance, unregister_teacher
    from stillhouse.models.registry import take_out

    settings = load_project(project)
    if version in _of_file(settings):
        raise UserError(
            f"{settings.file}: teachers: {version} stands there",
            remedy="take it out of the project file first.",
        )
    _refuse_released(settings, version)
    made = results_of(settings, version)
    if made and not yes:
        typer.echo("This goes, and can't be made again without the teacher:")
        for folder in made:
            typer.echo(f"  {folder.relative_to(settings.data_path)}")
        typer.confirm("Remove it?", abort=True)
    with open_instance(settings) as instance:
        known, runs = unregister_teacher(instance, version)
    registered = is_slug(version) and take_out(settings, version, user_name())
    for folder in made:
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    if not (known or registered or made or runs):
        raise UserError(
            f"there is no teacher version {version!r} to remove",
            remedy="`stillhouse teachers list` shows which there are.",
        )
    typer.echo(f"Removed {plain(version)}: {len(made)} folders, {runs} runs.")
    if registered:
        typer.echo("Its files in the registry stay; `stillhouse teachers add` brings it back.")


def _refuse_released(settings: Project, version: str) -> None:
    """What a channel leads to must stay explicable: where it came from would be gone."""
    layout = Layout(settings.data_path)
    for student in students_with_releases(layout):
        for channel in CHANNELS:
            release = pointed(layout, student, channel)
            if not release:
                continue
            if read_manifest(layout, student, release)["teacher"]["version"] == version:
                raise UserError(
                    f"teacher version {version}: {student}'s {channel}, {release}, learned from it",
                    remedy=f"release another student, or `stillhouse rollback {student}`, first.",
                )


def _of_file(settings: Project) -> set[str]:
    return {t.version for t in settings.teachers_of_file}


def results_of(settings: Project, version: str) -> list[Path]:
    """What was made of a version, and of its students; not what a mirror put beside."""
    if not is_slug(version):
        return []
    layout = Layout(settings.data_path)
    of_teacher = [layout.teacher(version) / part for part in layout.TEACHER_PARTS]
    of_students = layout.student("any", "any").parents[2].glob(f"*/{version}")
    return [path for path in (*of_teacher, *of_students) if path.exists()]
