"""From the data directory of an earlier release to one of this: step by step, each safe to repeat.

A step changes only what this release could not read. What it reads and would make otherwise is no
matter of form: `made_otherwise` says what that is, before a run makes it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stillhouse.alone import refuse_running
from stillhouse.errors import UserError
from stillhouse.state import Artefact, State
from stillhouse.storage.files import read_json, write_json
from stillhouse.storage.form import FORM, MADE, form_of, write_form
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import exclusive
from stillhouse.storage.provenance import FILE as RECORD
from stillhouse.storage.provenance import Recipe, library_versions

logger = logging.getLogger("stillhouse")

EARLIER = "earlier release"


def bring_up(layout: Layout) -> list[int]:
    """Bring the data directory to the form of this release; returns the forms that it had before.

    A killed upgrade goes on where it was. Raises `UserError` when a run is under way in a
    directory of another form, and as `form_of`.
    """
    if form_of(layout.root) == FORM:
        return []
    with exclusive(layout.lock("form"), "the upgrade of the data directory"):
        found = form_of(layout.root)  # another process may have done it
        if found is None:
            write_form(layout.root, FORM)
            return []
        passed = list(range(found, FORM))
        if passed:
            refuse_running(layout, "and its data directory has to be upgraded first")
        for form in passed:
            what, change = STEPS_UP[form]
            logger.info("%s: from form %d to %d: %s", layout.root, form, form + 1, what)
            change(layout)
            write_form(layout.root, form + 1)
    return passed


def _name_parts(layout: Layout) -> None:
    """The first releases gave all code one version, in words; since then each part has a number.

    So rewritten, a record is one of an artefact that is stale, and not of none.
    """
    for file in _records(layout):
        try:
            said = read_json(file)
            recipe = said["recipe"]
            if "code_version" not in recipe:
                continue
        except (OSError, ValueError, KeyError, TypeError):
            continue  # none of ours
        now = Recipe(recipe["inputs"], recipe["settings"], {EARLIER: 0})
        said |= {"recipe": vars(now), "fingerprint": now.fingerprint}
        write_json(file, said)


def _records(layout: Layout) -> Iterator[Path]:
    for name in MADE:
        yield from (layout.root / name).rglob(RECORD)


# By the form that a step begins with: what it does in words, and the function that does it.
STEPS_UP: dict[int, tuple[str, Callable[[Layout], None]]] = {
    1: ("records name the parts of the code", _name_parts),
}


def made_otherwise(state: State) -> dict[Artefact, str]:
    """What this release's code, or the libraries installed now, would make otherwise than they
    did, and why; all that is made of it follows. Cheap: only records are read."""
    found = {}
    for artefact in state.artefacts():
        record = state.record(artefact)
        if record is None:
            continue
        if EARLIER in record.recipe.code or not _readable(state, artefact):
            found[artefact] = "its record is of an earlier release"
            continue
        libraries = library_versions(artefact.step.libraries(state.where(artefact)))
        changed = [
            *_moved(record.recipe.code, artefact.step.versions),
            *_moved(record.recipe.libraries, libraries),
        ]
        if changed:
            found[artefact] = ", ".join(changed)
    return found


def _readable(state: State, artefact: Artefact) -> bool:
    try:
        state.facts(artefact)
    except UserError:
        return False
    return True


def _moved(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield f"{name} {then.get(name, 'none')} -> {now.get(name, 'none')}"
