"""`stillhouse release`, `rollback` and `releases`: what goes out, by whom and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stillhouse.cli.options import ProjectOption
from stillhouse.config.project import load_project
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.wording import plain

StudentArgument = Annotated[str, typer.Argument(help="A student of the project file.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it stands in the history.")]
ByOption = Annotated[
    str | None, typer.Option(help="Who answers for it; the account that runs this by default.")
]
ChannelOption = Annotated[str, typer.Option(help="The channel to move: production or candidate.")]


class ListByDefault(TyperGroup):
    """`stillhouse releases` and `stillhouse releases STUDENT` list."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(help="What was released, when, by whom and why.", cls=ListByDefault)


def release(
    student: StudentArgument,
    reason: ReasonOption,
    project: ProjectOption = None,
    version: Annotated[
        str | None,
        typer.Option(help="Teacher version; that of the candidate, or the last, by default."),
    ] = None,
    channel: ChannelOption = "production",
    override: Annotated[
        list[str] | None,
        typer.Option(help="A gate that is missed, or `stale`, to release all the same; with --by."),
    ] = None,
    by: ByOption = None,
) -> None:
    """Release the candidate of a student, or what there is of it now, to a channel."""
    from stillhouse.outside import open_state
    from stillhouse.release import promote

    asked = promote.Asked(reason, by, tuple(dict.fromkeys(override or ())))
    state = open_state(load_project(project))
    _say(promote.release(state, student, asked, version=version, channel=known_channel(channel)))


def rollback(
    student: StudentArgument,
    reason: ReasonOption,
    project: ProjectOption = None,
    to: Annotated[
        str | None, typer.Option(help="A release; the one before the present one by default.")
    ] = None,
    channel: ChannelOption = "production",
    by: ByOption = None,
) -> None:
    """Lead a channel back to the release that it led to before."""
    from stillhouse.release import promote
    from stillhouse.release.published import find_release

    layout = Layout(load_project(project).data_path)
    target = find_release(layout, to, student)[1] if to else None
    asked = promote.Asked(reason, by)
    _say(promote.rollback(layout, student, asked, to=target, channel=known_channel(channel)))


def known_channel(channel: str) -> str:
    from stillhouse.release.channels import CHANNELS

    if channel not in CHANNELS:
        raise UserError(
            f"--channel {channel}: there is no such channel",
            remedy=f"use one of {', '.join(CHANNELS)}.",
        )
    return channel


def _say(done: Any) -> None:
    if done.before == done.release:
        typer.echo(f"{done.channel} of {done.student} is {done.release} already.")
    else:
        before = f", before it {done.before}" if done.before else ""
        typer.echo(f"{done.channel} of {done.student} is {done.release} now{before}.")


@app.command("list")
def list_releases(
    student: Annotated[str | None, typer.Argument(help="Only this student's.")] = None,
    project: ProjectOption = None,
) -> None:
    """Every release: teacher, dataset, verdict, channel; who released it, when and why."""
    from stillhouse.release.published import students_with_releases

    layout = Layout(load_project(project).data_path)
    students = [student] if student else students_with_releases(layout)
    lines = [line for name in students for line in _lines_of(layout, name)]
    typer.echo("\n".join(lines) if lines else "Nothing was released yet.")


def _lines_of(layout: Layout, student: str) -> Iterator[str]:
    """What others wrote (names, reasons) is not trusted with the terminal."""
    from stillhouse.release.channels import channels_of, history
    from stillhouse.release.published import read_manifest, releases_of

    moves = list(history(layout, student))
    for release in releases_of(layout, student):
        led = ", ".join(channels_of(layout, student, release))
        yield f"{student}  {release}{f'  [{led}]' if led else ''}"
        try:
            yield from _about(read_manifest(layout, student, release))
        except UserError as error:
            yield f"    REFUSED: {plain(error.message)}"
        for move in moves:
            if move.after == release:
                said = f"{move.time} {move.action} to {move.channel} by {move.by}: {move.reason}"
                yield f"    {plain(said)}"


def _about(manifest: dict[str, Any]) -> Iterator[str]:
    digest = str(manifest["dataset"]["digest"])[:12]
    yield f"    teacher {plain(manifest['teacher']['version'])}, dataset {digest}"
    counted: dict[str, int] = {}
    for gate in manifest["gates"]:
        counted[gate["verdict"]] = counted.get(gate["verdict"], 0) + 1
    yield f"    gates: {', '.join(f'{n} {verdict}' for verdict, n in counted.items())}"
    for gate, found in manifest["overrides"].items():
        yield f"    overridden: {plain(gate)} by {plain(found['by'])}: {plain(found['reason'])}"


@app.command()
def verify(
    release: Annotated[
        str | None, typer.Argument(help="A release, or how its id begins; all by default.")
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Check signature, manifest and every file; exits with 1 where something was edited."""
    from stillhouse.release.published import (
        find_release,
        read_manifest,
        releases_of,
        students_with_releases,
    )

    layout = Layout(load_project(project).data_path)
    chosen = (
        [find_release(layout, release)]
        if release
        else [(s, r) for s in students_with_releases(layout) for r in releases_of(layout, s)]
    )
    edited = 0
    for student, name in chosen:
        try:
            manifest = read_manifest(layout, student, name, files=True)
        except UserError as error:
            edited += 1
            typer.secho(f"REFUSED  {plain(error.message)}", fg=typer.colors.RED)
        else:
            typer.echo(f"ok       {student} {name}: {len(manifest['files'])} files")
    if edited:
        raise typer.Exit(1)


@app.command()
def key(
    project: ProjectOption = None,
    short: Annotated[
        bool, typer.Option("--fingerprint", help="Its SHA-256, to compare by eye.")
    ] = False,
) -> None:
    """Print the public key that releases and bundles are signed with, in PEM."""
    from stillhouse.release.published import KEY
    from stillhouse.release.signing import fingerprint, load_or_create_key, public_pem

    layout = Layout(load_project(project).data_path)
    pem = public_pem(load_or_create_key(layout.key(KEY)))
    typer.echo(f"{fingerprint(pem)}\n" if short else pem, nl=False)


@app.command()
def remove(
    release: Annotated[str, typer.Argument(help="A release, or how its id begins.")],
    reason: ReasonOption,
    project: ProjectOption = None,
    by: ByOption = None,
) -> None:
    """Remove a release that no channel leads to."""
    from stillhouse.release import promote
    from stillhouse.release.published import find_release

    layout = Layout(load_project(project).data_path)
    student, name = find_release(layout, release)
    promote.remove(layout, student, name, promote.Asked(reason, by))
    typer.echo(f"Removed {name} of {student}.")
