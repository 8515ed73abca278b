"""What became of an answer, and who gave it, as logs say: feedback, the right answer, a metric, the
release that answered and what its shadow answered.

This project's server writes feedback as a line of its own, which says whose it is: `{about, time,
score, right_answer, metrics}`. Other logs have it beside the request, where `traffic.feedback`
says; Langfuse keeps scores in a list, which a path with a number reaches (`scores.0.value`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stillhouse.config.monitor import FeedbackOf
from stillhouse.monitor.requests import Request

ABOUT = "about"
GOOD = ("correct", "right", "true", "yes", "pass", "passed", "good", "up")
BAD = ("incorrect", "wrong", "false", "no", "fail", "failed", "bad", "down")
# Where answers of this project's server have their release, whoever logs them.
RELEASES = ("release", "response.system_fingerprint", "response.stillhouse.release")
OURS = ("chatcmpl-", "cmpl-")
_NAME = re.compile(r"[\w.-]{1,100}")


@dataclass(frozen=True)
class Outcome:
    """What is known of an answer, NOT masked: `score` 0..1, `gold` the right answer, `metric` what
    it led to. Whichever is not known is None."""

    score: float | None = None
    gold: str | None = field(repr=False, default=None)
    metric: float | None = None

    @property
    def says_something(self) -> bool:
        return self != Outcome()


@dataclass(frozen=True)
class Given:
    """By which `release` a request was answered; what its `shadow` answered, NOT masked, which
    release that was and how sure."""

    release: str | None = None
    shadow: str | None = field(repr=False, default=None)
    shadow_release: str | None = None
    shadow_confidence: float | None = None


def feedback_in(line: Any, where: FeedbackOf) -> tuple[str, Outcome] | None:
    """The id of an answer and what became of it; None for a line that is no such thing."""
    if not isinstance(line, Mapping) or not isinstance(line.get(ABOUT), str) or "input" in line:
        return None
    return line[ABOUT], _outcome(line, where.score or "score", "right_answer", where.metric)


def outcome_of(line: Mapping[str, Any], where: FeedbackOf) -> Outcome:
    """What a line with a request says of its own answer, where the project file says that it
    does."""
    return _outcome(line, where.score, where.answer, where.metric)


def given_by(line: Mapping[str, Any]) -> Given:
    shadow = line.get("shadow")
    shadow = shadow if isinstance(shadow, Mapping) else {}
    answer = shadow.get("answer")
    return Given(
        next((name for path in RELEASES if (name := _name(at(line, path)))), None),
        answer if isinstance(answer, str) and answer else None,
        _name(shadow.get("release")),
        _share(shadow.get("confidence")),
    )


def answer_id(request: Request) -> str | None:
    """The id that feedback is given by: a proxy may log one of its own beside the answer's."""
    own = at(request.of, "response.id")
    return own if isinstance(own, str) and own.startswith(OURS) else request.id


def at(line: Any, path: str) -> Any:
    """What stands at a dotted path, in which a number is a place in a list; None where nothing
    does. Parts that are JSON in a text are read."""
    value = line
    for name in path.split("."):
        if isinstance(value, str) and value[:1] in ("{", "["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return None
        if isinstance(value, list) and name.isdigit() and int(name[:9]) < len(value):
            value = value[int(name[:9])]
        else:
            value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _outcome(
    line: Mapping[str, Any], score: str | None, answer: str | None, metric: str | None
) -> Outcome:
    said = at(line, answer) if answer else None
    if isinstance(said, Mapping | list):
        said = json.dumps(said)
    return Outcome(
        _score(at(line, score)) if score else None,
        said if isinstance(said, str) and said.strip() else None,
        _finite(at(line, metric)) if metric else None,
    )


def _score(value: Any) -> float | None:
    """Of right or wrong in words, a truth value, or a share."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        word = value.strip().lower()
        return 1.0 if word in GOOD else 0.0 if word in BAD else None
    return _share(value)


def _share(value: Any) -> float | None:
    found = _finite(value)
    return found if found is not None and 0 <= found <= 1 else None


def _finite(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float) or abs(value) > 1e15 or not math.isfinite(value):
        return None
    return float(value)


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None
