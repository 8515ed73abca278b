"""Why a whole file can't be read."""

from __future__ import annotations


class Unparsable(Exception):  # noqa: N818 - a state of a file, as much as an error
    """A file that goes to quarantine.

    `category` is one of `CATEGORIES` and stays the same between versions, so that quarantines can
    be counted; `reason` says in a sentence what is wrong, `remedy` what to do about it. Neither
    repeats anything of what the file says, or its name: quarantines are read by many.
    """

    CATEGORIES = (
        *("empty", "corrupt", "encrypted", "scan", "unsupported", "columns", "outside"),
        *("unreadable", "unreachable", "too_large", "too_slow", "crashed", "forgotten"),
        "program",
    )

    def __init__(self, category: str, reason: str, *, remedy: str) -> None:
        super().__init__(f"{category}: {reason}")
        if category not in self.CATEGORIES:
            raise ValueError(f"unknown category {category!r}")
        self.category = category
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Without this, an exception with keyword arguments does not come back from a process."""
        return (_rebuild, (self.category, self.reason, self.remedy))


def unreadable(error: OSError) -> Unparsable:
    return Unparsable(
        "unreadable",
        f"the file can't be read: {error.strerror or type(error).__name__}",
        remedy="check that it is there and that this user may read it.",
    )


def without_text() -> Unparsable:
    return Unparsable(
        "empty", "the file holds no text", remedy="remove it, or replace it by one with text."
    )


def _rebuild(category: str, reason: str, remedy: str) -> Unparsable:
    return Unparsable(category, reason, remedy=remedy)
