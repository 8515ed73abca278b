"""`stillhouse bundle`: one archive that sets everything up on a machine without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.options import ProjectOption
from stillhouse.config.project import load_project


def bundle(
    out: Annotated[Path, typer.Argument(help="The file to write: a .tar.")],
    project: ProjectOption = None,
    extra: Annotated[
        list[str] | None, typer.Option(help="An extra of the package to bring: postgres.")
    ] = None,
) -> None:
    """Pack what is installed here, the models, the sample, licences and a bill of materials.

    Wheels come from the index that pip is configured with: this, and `teachers fetch`, are the
    commands that ask it. On the other machine: tar xf, then ./install.sh PREFIX.
    """
    from stillhouse.bundle.archive import write_bundle
    from stillhouse.instance import prepare_data_directory
    from stillhouse.progress import heartbeat

    settings = load_project(project)
    prepare_data_directory(settings.data_path)  # the key that signs lies in it
    with heartbeat("The bundle"):
        made = write_bundle(settings, out, extras=extra or ())
    typer.echo(
        f"{out}: {made.packages} packages, {made.models} models, {made.bytes / 1e6:,.0f} MB, signed"
    )
    for absent in made.absent:
        typer.secho(f"Not in it: {absent}", fg=typer.colors.YELLOW)
    if made.untold:
        typer.echo(f"Wheels without a licence text: {', '.join(made.untold)}")
