from __future__ import annotations

import json

import pytest

from stillhouse.cli.asking import as_line


@pytest.mark.parametrize("note", ["Zürich", "half: \ud83d", "\x9b31m"])
def test_whatever_comes_back_can_be_written(note: str) -> None:
    """JSON may hold half of a character, and no output has bytes for it."""
    found = {"note": note, "answer": "billing"}
    for ascii_alone in (True, False):
        line = as_line(found, ascii_alone=ascii_alone)
        assert json.loads(line.encode()) == found
        assert line.isascii() or not ascii_alone
    assert "ü" not in note or "ü" in as_line(found, ascii_alone=False)
