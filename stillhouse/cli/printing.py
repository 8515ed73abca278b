"""What the command line prints: results of a run, staleness, teachers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.recipes import CORPUS, DATASET, STUDENT, TEACHER, Recipes
from stillhouse.storage.provenance import Recipe, read_provenance, why_stale

if TYPE_CHECKING:
    from stillhouse.cli.runs import Outcome


def print_run(project: Project, version: str, outcome: Outcome, *, finished: bool) -> None:
    """Seconds by asset; for a whole run also each student's table and where its report lies."""
    recipes = Recipes(project)
    typer.echo("\nSeconds by asset:")
    for name, seconds in outcome.seconds.items():
        typer.echo(f"  {name:<44} {seconds:7.1f}")
    typer.echo(f"  {'total':<44} {sum(outcome.seconds.values()):7.1f}")
    for warning in outcome.warnings:
        typer.secho(f"Check did not pass: {warning}", fg=typer.colors.YELLOW)
    if not finished:
        return
    for student in project.students:
        facts = recipes.facts("evaluation_report", version, student.name)
        typer.echo(f"\n{student.name}, taught by {version}:\n\n{facts['table_md']}\n")
        typer.echo(f"Report: {_shown(Path(facts['report']))}")


def print_failures(outcome: Outcome) -> None:
    for step, reason in outcome.failures.items():
        name = step.replace("__", "/")
        typer.secho(f"\n{name} failed:\n  {reason}", fg=typer.colors.RED, err=True)


def print_status(project: Project, versions: list[str] | None) -> None:
    """A line an asset: up to date, or stale with the reason."""
    recipes = Recipes(project)
    for name, folder, recipe in _all_recipes(recipes, versions):
        reason = recipe if isinstance(recipe, str) else why_stale(folder, recipe)
        colour = typer.colors.YELLOW if reason else typer.colors.GREEN
        typer.secho(f"{name:<60} {f'stale: {reason}' if reason else 'up to date'}", fg=colour)


def _all_recipes(
    recipes: Recipes, versions: list[str] | None
) -> Iterator[tuple[str, Path, Recipe | str]]:
    """Name, folder and recipe of each asset; a reason instead where something upstream lacks."""
    from stillhouse.corpus.sources import scan_sources
    from stillhouse.storage.tables import read_table

    table = recipes.layout.table("source_files")
    files = scan_sources(recipes.project, read_table(table) if table.exists() else None)
    yield "source_files", recipes.folder("source_files"), recipes.source_files(files)
    for asset in (*CORPUS[1:], *DATASET):
        yield asset, recipes.folder(asset), _recipe(recipes.corpus, asset)
    for version in versions or [t.version for t in recipes.project.teachers]:
        for asset in TEACHER:
            recipe = _recipe(recipes.teacher, asset, version)
            yield f"{asset} [{version}]", recipes.folder(asset, version), recipe
        for student in recipes.project.students:
            for asset in STUDENT:
                recipe = _recipe(recipes.student, asset, student.name, version)
                folder = recipes.folder(asset, version, student.name)
                yield f"{student.name}/{asset} [{version}]", folder, recipe


def _recipe(find: Any, *arguments: str) -> Recipe | str:
    try:
        recipe: Recipe = find(*arguments)
    except UserError as error:
        return error.message
    return recipe


def print_teachers(project: Project) -> None:
    recipes = Recipes(project)
    for teacher in project.teachers:
        record = read_provenance(recipes.folder("adapted_teacher", teacher.version))
        figures = "not materialized"
        if record:
            zero_shot, adapted = record.facts["zero_shot_accuracy"], record.facts["accuracy"]
            figures = f"accuracy {adapted:.3f} (zero-shot {zero_shot:.3f})"
        typer.echo(f"{teacher.version:<40} {teacher.model:<32} {teacher.license:<12} {figures}")


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
