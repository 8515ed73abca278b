"""`stillhouse tco`: what the students in use cost, and the price file to fill in."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.options import ProjectOption, TeacherOption
from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError

PRICES = "prices.yaml"


def tco(
    project: ProjectOption = None,
    teacher: TeacherOption = None,
    init: Annotated[
        bool, typer.Option("--init", help=f"Write {PRICES}, to be filled in, and stop.")
    ] = False,
) -> None:
    """What a student costs beside its teacher and beside an API, by your own prices."""
    from stillhouse.economics.page import markdown
    from stillhouse.economics.reckoned import reckon
    from stillhouse.moved import version_in_use
    from stillhouse.outside import open_state

    settings = load_project(project)
    if init:
        _write_prices(settings)
        return
    state = open_state(settings)
    version = settings.teacher(teacher).version if teacher else version_in_use(state)
    typer.echo(markdown(reckon(state, version)))


def _write_prices(project: Project) -> None:
    from importlib.resources import files

    target = project.root / (project.economics.prices or PRICES)
    template = files("stillhouse.economics") / "templates" / PRICES
    try:
        with target.open("x", encoding="utf-8") as out:
            out.write(template.read_text("utf-8"))
        target.chmod(0o644)  # prices, no secrets: a team shares them
    except FileExistsError:
        raise UserError(
            f"{target} exists already", remedy="fill that one in, or remove it first."
        ) from None
    except OSError as error:
        raise UserError(
            f"{target}: can't be written ({error.strerror or error})",
            remedy="let this user write there.",
        ) from error
    typer.echo(f"Wrote {target}. Fill it in; every null is yours to find out.")
    if project.economics.prices is None:
        typer.echo(f"Then add to {project.file.name}:  economics: {{prices: {PRICES}}}")
