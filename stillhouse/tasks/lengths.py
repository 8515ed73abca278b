"""What does not fit into the lengths that the project file allows, told before time is spent."""

from __future__ import annotations

import logging

from stillhouse.tasks.common import Examples

logger = logging.getLogger("stillhouse")


def tell_what_is_cut(learned: Examples, most: int, setting: str) -> None:
    """Warn of texts that lost their end to `most` tokens, which `setting` says, and of answers that
    are longer than the task's may be: learned whole, they could not be written."""
    task, count = learned.kind.task, len(learned.examples)
    if cut := sum(e.cut for e in learned.examples):
        logger.warning(
            "Task %s: %d of %d texts are longer than `%s` allows (%d tokens with prompt and "
            "answer): their ends are not read; raise it, or keep passages shorter",
            task.name, cut, count, setting, most,
        )  # fmt: skip
    longest = getattr(task, "max_answer_tokens", None)
    if longest is None:
        return
    if long := sum(len(e.response_ids) > longest + 1 for e in learned.examples):  # and its end
        logger.warning(
            "Task %s: %d of %d answers are longer than `tasks[].max_answer_tokens` (%d): no model "
            "will write them whole; raise it",
            task.name, long, count, longest,
        )  # fmt: skip
