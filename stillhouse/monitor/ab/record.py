"""The record of looks: whatever is made again, a look that was taken has been taken.

A test is known by its terms, by both models and by what they are judged by. With another of these
another test begins, and the record says that there was one before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stillhouse.facts import AbLookFacts
from stillhouse.storage.files import read_json, write_json

LOOKS = "looks.json"
# Tests that are remembered.
MOST = 200


@dataclass
class Test:
    """`id` is of all that is fixed before; `models` of the two models alone."""

    id: str
    task: str
    models: str
    looks: list[AbLookFacts] = field(default_factory=list)
    verdict: str = "open"


class Record:
    """The tests of one student and teacher version, in the order in which they were begun."""

    def __init__(self, folder: Path) -> None:
        file = folder / LOOKS
        said: list[dict[str, Any]] = read_json(file) if file.exists() else []
        self.tests = [
            Test(**{**test, "looks": [AbLookFacts(**look) for look in test["looks"]]})
            for test in said
        ]

    def test(self, identity: str, task: str, models: str) -> Test:
        """The test with these terms, begun now if it is new."""
        found = next((test for test in self.tests if test.id == identity), None)
        if found is None:
            found = Test(identity, task, models)
            self.tests.append(found)
        return found

    def earlier(self, test: Test) -> int:
        """How many other tests of the same models were looked at."""
        return sum(
            other.task == test.task and other.models == test.models and bool(other.looks)
            for other in self.tests
            if other is not test
        )

    def write(self, folder: Path) -> None:
        write_json(folder / LOOKS, [asdict(test) for test in self.tests[-MOST:]])
