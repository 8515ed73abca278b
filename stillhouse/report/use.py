"""What a student is for, what it is not for, and what nobody knows of it: said alike in the report
and on the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_INTENDED = (
    "It answers the tasks below, for texts of the kind that it learned from, in the house that "
    "made it. A person, or the teacher, decides where it is not sure."
)
_MASKED = "It expects texts whose personal data was masked as it was when it learned."
_UNMASKED = (
    "Nothing was masked in what it learned from: it is as confidential as those texts, and goes "
    "to nobody who may not read them."
)
NOT_INTENDED = (
    "Other tasks, conversation, and texts of other sources or languages: its answers there, and "
    "how sure it is, mean little.",
    "Decisions about people that nobody looks at.",
)
LIMITS = (
    "It was measured on held-out texts of the same sources and time as those it learned from. What "
    "the texts of tomorrow are like, nobody measured; drift is watched, not prevented.",
    "It repeats its teacher's mistakes, and those of the people who labelled.",
    "What was not measured is not known to be good.",
)


def intended(*, masked: bool) -> tuple[str, ...]:
    """What it is for; `masked` where personal data was, in what it learned from."""
    return (_INTENDED, _MASKED if masked else _UNMASKED)


def masks(evaluation: Mapping[str, Any]) -> bool:
    """Whether personal data was masked, by evaluation.json; True where it doesn't say."""
    return bool(evaluation.get("audit", {}).get("masked", {}).get("kinds") != 0)
