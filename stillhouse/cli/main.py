"""The command line, thin over Dagster: run, ask, status, files, review, corpus, pii, ..."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from stillhouse.offline import go_offline
from stillhouse.progress import silence_bars
from stillhouse.threads import be_considerate

go_offline()  # before any library that phones home is imported
silence_bars()
be_considerate()

from stillhouse.cli import (  # noqa: E402
    bundling,
    choosing,
    corpus,
    costs,
    loading,
    pii,
    releasing,
    serving,
    teachers,
    upgrading,
)
from stillhouse.cli.options import ProjectOption, TeacherOption  # noqa: E402
from stillhouse.cli.terminal import log_to_terminal  # noqa: E402
from stillhouse.config.project import load_project  # noqa: E402
from stillhouse.errors import UserError  # noqa: E402
from stillhouse.storage.layout import Layout  # noqa: E402
from stillhouse.storage.private import keep_private  # noqa: E402
from stillhouse.wording import visible  # noqa: E402

app = typer.Typer(
    help="On-premises LLM distillation as a Dagster asset graph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(teachers.app, name="teachers")
app.add_typer(pii.app, name="pii")
app.add_typer(corpus.app, name="corpus")
app.add_typer(releasing.app, name="releases")
app.command()(releasing.release)
app.command()(releasing.rollback)
app.command()(costs.tco)
app.command()(serving.serve)
app.command()(loading.load)
app.command()(choosing.doctor)
app.command()(choosing.compare)
app.command()(bundling.bundle)
app.command()(upgrading.upgrade)


def main() -> None:
    """Entry point: an error that the user can mend is shown without a stack trace."""
    log_to_terminal()
    keep_private()
    try:
        app()
    except UserError as error:
        # Names of files and models stand in it: whoever gave them isn't trusted here.
        typer.secho(f"Error: {visible(str(error))}", fg=typer.colors.RED, err=True)
        sys.exit(1)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"stillhouse {version('stillhouse')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """What goes before every command."""


@app.command()
def run(
    project: ProjectOption = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(help="Teacher version, once or several times; the last one by default."),
    ] = None,
    all_teachers: Annotated[
        bool, typer.Option("--all-teachers", help="A run for each version there is.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(help="Stop after this asset: soft_labels, evaluation_report, router/..."),
    ] = None,
) -> None:
    """Ingest the sources, then distil from a teacher; what is up to date is not made again."""
    from stillhouse.cli import printing, runs
    from stillhouse.instance import close_dead_runs, open_instance, register_teachers
    from stillhouse.own_files import require_usable

    settings = load_project(project)
    require_usable(settings)
    named = [settings.teacher(name).version for name in teacher or []]
    if all_teachers:
        named = [t.version for t in settings.teachers]
    versions = list(dict.fromkeys(named)) or [settings.teachers[-1].version]
    printing.print_header(settings, versions)
    layout = Layout(settings.data_path)
    failed: list[str] = []
    with open_instance(settings) as instance:
        defs = runs.load_definitions(settings)
        close_dead_runs(instance, layout)
        register_teachers(instance, settings)
        upgrading.tell(settings)
        ingested = runs.run_until(defs, instance, layout, "ingest", None, until)
        if not ingested.success:
            printing.print_failures(ingested)
            raise typer.Exit(1)
        for version in versions:
            outcome = runs.run_until(defs, instance, layout, "distill", version, until)
            if not outcome.success:  # the others are distilled all the same, as in a backfill
                printing.print_failures(outcome)
                failed.append(version)
                continue
            ingested.add(outcome)
            printing.print_run(settings, version, ingested, finished=until is None)
            ingested = runs.Outcome(True)
    if failed and len(versions) > 1:
        typer.secho(f"\nFailed: {', '.join(failed)}", fg=typer.colors.RED, err=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def ask(
    student: Annotated[str, typer.Argument(help="A student of the project file.")],
    text: Annotated[
        str | None, typer.Argument(help="What to ask it; standard input when left out.")
    ] = None,
    project: ProjectOption = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A text, or JSON lines with a field `text`.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Teacher version; the last of the project file by default.")
    ] = None,
    beside_teacher: Annotated[
        bool, typer.Option("--beside-teacher", help="Show what the teacher says as well.")
    ] = False,
) -> None:
    """Let the quantized student answer, with its confidence: a text, a file or standard input."""
    from stillhouse.cli.asking import answer

    settings = load_project(project)
    version = settings.teacher(teacher).version if teacher else settings.teachers[-1].version
    answer(settings, student, version, text, file, task=task, beside_teacher=beside_teacher)


@app.command()
def status(
    project: ProjectOption = None,
    teacher: TeacherOption = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit with 3 if anything is stale, 4 if it was not made yet."),
    ] = False,
) -> None:
    """What is up to date, stale (and why) or not made yet; and what the caches take."""
    from stillhouse.cli import printing

    settings = load_project(project)
    versions = [settings.teacher(teacher).version] if teacher else None
    code = printing.print_status(settings, versions)
    if check:
        raise typer.Exit(code)


@app.command()
def files(
    student: Annotated[str, typer.Argument(help="A student of the project file.")],
    project: ProjectOption = None,
    teacher: Annotated[
        str | None, typer.Option(help="Teacher version; the last of the project file by default.")
    ] = None,
) -> None:
    """Which files made this student, with the number of pairs from each."""
    from stillhouse.cli import printing

    settings = load_project(project)
    version = settings.teacher(teacher).version if teacher else settings.teachers[-1].version
    printing.print_files(settings, settings.student(student).name, version)


@app.command()
def forget(
    document: Annotated[
        str | None, typer.Argument(help="A document's or a file's id in the tables, or its path.")
    ] = None,
    project: ProjectOption = None,
    person: Annotated[
        str | None, typer.Option(help="A pseudonym: all documents that name this person.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and who learned from it.")
    ] = False,
) -> None:
    """Forget a document, or a person, everywhere and for good; and who has to learn anew."""
    from stillhouse.cli import forgetting

    forgetting.forget_asked(load_project(project), document, person, dry_run=dry_run)


@app.command()
def backup(
    archive: Annotated[Path, typer.Argument(help="The file to write: .tar, .tar.gz or .tar.xz.")],
    project: ProjectOption = None,
    keys: Annotated[
        bool, typer.Option("--keys", help="The keys too. Else keep them somewhere else.")
    ] = False,
) -> None:
    """Write the data directory into one file, without what can be made again."""
    from stillhouse.backup import back_up

    count = back_up(Layout(load_project(project).data_path), archive, keys=keys)
    typer.echo(f"{archive}: {count:,} files, {archive.stat().st_size / 1e6:,.1f} MB")
    if not keys:
        typer.echo("Without the keys: back up keys/ in the data directory apart from it.")


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="What `stillhouse backup` wrote.")],
    project: ProjectOption = None,
) -> None:
    """Put back what `backup` wrote, where there is no data directory."""
    from stillhouse.backup import restore as put_back

    layout = Layout(load_project(project).data_path)
    typer.echo(f"{layout.root}: {put_back(archive, layout):,} files restored")


@app.command()
def review(
    project: ProjectOption = None,
    pii: Annotated[
        bool,
        typer.Option("--pii", help="Write texts, NOT masked, to mark what is personal in them."),
    ] = False,
    texts: Annotated[int, typer.Option(min=1, help="How many texts to mark or grade.")] = 100,
    outputs: Annotated[
        bool, typer.Option("--outputs", help="Grade what student and teacher answer, blind.")
    ] = False,
    student: Annotated[str | None, typer.Option(help="Whose outputs; the first's.")] = None,
    version: Annotated[str | None, typer.Option(help="Teacher version; the last.")] = None,
) -> None:
    """Review pairs on a page of their own; mark personal data; or grade models' outputs."""
    from stillhouse.cli import grading, reviewing

    settings = load_project(project)
    if outputs:
        of = settings.teacher(version).version if version else settings.teachers[-1].version
        grading.grade_outputs(settings, student or settings.students[0].name, of, texts)
    elif pii:
        reviewing.write_to_mark(settings, texts)
    else:
        reviewing.print_sample(settings)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Where to write stillhouse.yaml.")]) -> None:
    """Write a commented project file to start from."""
    from importlib.resources import files as package_files

    target = folder / "stillhouse.yaml"
    if target.exists():
        raise UserError(
            f"{target} exists already", remedy="name another folder, or remove the file first."
        )
    template = package_files("stillhouse.config") / "templates" / "stillhouse.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(template.read_text("utf-8"), encoding="utf-8")
        target.chmod(0o644)  # settings, no secrets: a team shares them
        folder.chmod(0o755)
    except OSError as error:
        raise UserError(
            f"{target}: can't be written ({error.strerror or error})",
            remedy="name a folder that this user may write to.",
        ) from error
    typer.echo(f"Wrote {target}. Name your sources in it, then: stillhouse run --project {folder}")


@app.command()
def dev(
    project: ProjectOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 3000,
) -> None:
    """The Dagster UI and daemon over the project's instance."""
    from stillhouse.cli.ui import require_free, write_workspace
    from stillhouse.instance import close_dead_runs, open_instance, register_teachers

    settings = load_project(project)
    require_free(host, port)
    with open_instance(settings) as instance:  # writes dagster.yaml, sets DAGSTER_HOME
        close_dead_runs(instance, Layout(settings.data_path))
        register_teachers(instance, settings)
    os.environ["STILLHOUSE_PROJECT"] = str(settings.file)
    workspace = write_workspace(settings.name, Path(os.environ["DAGSTER_HOME"]))
    typer.echo(f"Dagster UI at http://{host}:{port} over {os.environ['DAGSTER_HOME']}")
    command = [sys.executable, "-m", "stillhouse.cli.services", "-w", str(workspace)]
    os.execv(sys.executable, [*command, "-h", host, "-p", str(port)])  # noqa: S606


if __name__ == "__main__":
    main()
