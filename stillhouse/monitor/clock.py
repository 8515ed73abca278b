"""Times in logs: in whatever form they come, and no more trusted than they deserve."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

# Nothing was served before; clocks of several machines may differ a little.
FIRST, TOLERANCE = datetime(2000, 1, 1, tzinfo=UTC), timedelta(hours=1)
# Requests end in another order than they began, but not by so much.
JUMP = timedelta(days=1)

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
# Seconds have at most so many; what is larger are milli-, micro- or nanoseconds.
_SECONDS = 1e11


def moment(value: Any) -> datetime | None:
    """The time that `value` says, in UTC; None where it says none.

    Numbers are seconds since 1970, or milli-, micro- or nanoseconds by their size; text is ISO 8601
    (without a zone: UTC), RFC 2822, a web server's form, or such a number.
    """
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            return _told(value)
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    if not math.isfinite(seconds):
        return None
    for _ in range(3):
        if abs(seconds) >= _SECONDS:
            seconds /= 1000
    with suppress(OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(seconds, UTC)
    return None


def _told(text: str) -> datetime | None:
    forms = (
        datetime.fromisoformat,
        parsedate_to_datetime,
        lambda t: datetime.strptime(t, "%d/%b/%Y:%H:%M:%S %z"),
    )
    for read in forms:
        with suppress(ValueError, TypeError, IndexError, OverflowError):
            found = read(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    return None


@dataclass
class Clock:
    """The times of one log, in the order of its lines.

    A line without a time, or with one that can't be (before 2000, in the future), has that of the
    line before it: of what is wrong, the order is still right. `counted` says how often, as
    "no_time" and "senseless"; "jumped" are times a day or more before the line before, which are
    taken as they are.
    """

    now: datetime
    last: datetime | None = None
    counted: dict[str, int] = field(default_factory=dict)

    def of(self, value: Any) -> datetime:
        found = moment(value)
        if found is None:
            return self._in_order("no_time")
        if not FIRST <= found <= self.now + TOLERANCE:
            return self._in_order("senseless")
        if self.last is not None and found < self.last - JUMP:
            self._count("jumped")
        self.last = found
        return found

    def _in_order(self, why: str) -> datetime:
        self._count(why)
        return self.last or self.now

    def _count(self, why: str) -> None:
        self.counted[why] = self.counted.get(why, 0) + 1
