"""Having a project to oneself: for what touches all of it, as forgetting and backups do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from stillhouse.errors import UserError
from stillhouse.steps import STEPS
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import exclusive, is_alive


def refuse_running(layout: Layout, why: str) -> None:
    """Raise `UserError` when a run of the project is under way; `why` says what that hinders."""
    if any(map(is_alive, layout.run("any").parent.glob("*.lock"))):
        raise UserError(
            f"a run of this project is under way, {why}",
            remedy="wait until it has ended, or stop it, and ask again.",
        )


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Nothing else writes tables meanwhile, or runs a model."""
    with ExitStack() as held:
        for step in STEPS.values():
            if step.scope == "project":
                held.enter_context(exclusive(layout.lock(step.name), step.name))
        for place in layout.all_models:
            held.enter_context(exclusive(place, "the GPU"))
        yield
