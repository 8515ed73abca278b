"""Files that users keep beside the project file, some of which are read late in a run: what is
wrong in them is told before the hours that come before."""

from __future__ import annotations

from pathlib import Path

from stillhouse.config.project import Project


def _marked(project: Project) -> str | None:
    from stillhouse.corpus.pii_gold import read_gold

    if (named := project.privacy.pii_gold) is None:
        return None
    gold = read_gold(project.root / named)
    rest = f", {gold.unmarked} not read yet" if gold.unmarked else ""
    return f"{len(gold.texts)} in {named}{rest}"


def _edge_cases(project: Project) -> str | None:
    from stillhouse.evaluate.edge_file import FILE, count_cases

    if not (project.root / FILE).exists():
        return None
    return f"{count_cases(project.root, project.tasks)} in {FILE}"


def _attacks(project: Project) -> str | None:
    from stillhouse.audit.attacks import attacks_of

    if (named := project.leak_audit.attacks) is None:
        return None
    own = len(attacks_of(project.root / named)) - len(attacks_of(None))
    return f"{own} in {named}"


def _prices(project: Project) -> str | None:
    from stillhouse.economics.prices import read_prices

    if (named := project.economics.prices) is None:
        return None
    return f"of {read_prices(project.root / named).as_of}, in {named}"


OWN_FILES = {
    "texts marked for personal data": _marked,
    "edge cases of your own": _edge_cases,
    "attack prompts of your own": _attacks,
    "prices": _prices,
}
"""What each is, and what says what is in it: None where the project has no such file. It raises
`UserError` with file, line and remedy where the file can't be used."""


def require_usable(project: Project) -> None:
    """Raise `UserError` at the first file that can't be used."""
    for look in OWN_FILES.values():
        look(project)


def require_cases(project: Project, dataset: Path) -> None:
    """Raise `UserError` where a line of the edge cases can't be used: a dataset tells which answers
    are classes, too."""
    from stillhouse.evaluate.edge_file import FILE, read_cases
    from stillhouse.tasks.kinds import open_tasks

    if not (project.root / FILE).exists():
        return
    asked = {name for student in project.students for name in student.tasks}
    kinds = open_tasks(dataset, [task for task in project.tasks if task.name in asked])
    read_cases(project.root, kinds, [task.name for task in project.tasks], lambda text, _: text)
