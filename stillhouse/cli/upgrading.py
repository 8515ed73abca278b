"""`stillhouse upgrade`, and what a run says first after one."""

from __future__ import annotations

import logging

import typer

from stillhouse.cli.options import ProjectOption
from stillhouse.config.project import Project, load_project

logger = logging.getLogger("stillhouse")


def upgrade(project: ProjectOption = None) -> None:
    """After another release was installed: bring data directory and history to its form.

    Says what the next run makes again; makes nothing yet.
    """
    from stillhouse.instance import lacking_settings, open_instance

    settings = load_project(project)
    with open_instance(settings) as instance:
        instance.upgrade()
    typer.echo(f"{settings.data_path}: in the form of this release")
    if sections := lacking_settings(settings):
        typer.echo(
            f"dagster.yaml there is older, or yours, and lacks {', '.join(sections)}: "
            "move it away to have it written anew"
        )
    if not tell(settings):
        typer.echo("Everything that was made is what this release would make.")


def tell(project: Project) -> bool:
    """Say what code and libraries of now make otherwise than they did; whether there is any."""
    from stillhouse.outside import open_state
    from stillhouse.upgrade import made_otherwise

    found = made_otherwise(open_state(project))
    if found:
        logger.info(
            "Code or libraries changed since these were made; a run makes them again, with all "
            "that is made of them (`stillhouse status` names it):"
        )
    for artefact, why in found.items():
        logger.info("  %s: %s", artefact, why)
    return bool(found)
