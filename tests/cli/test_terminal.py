"""Nothing that documents, models or their files say commands the terminal."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from rich.logging import RichHandler

from stillhouse.cli import main as entry
from stillhouse.cli.asking import _in_words
from stillhouse.cli.printing import print_failures
from stillhouse.cli.runs import Outcome
from stillhouse.cli.terminal import log_to_terminal
from stillhouse.errors import UserError

HOSTILE = "billing \x1b[2J\x1b]0;owned\x07 \x9b31m \u202egnp.exe"
BAD = "\x1b\x07\x9b\u202e"


def clean(text: str) -> bool:
    return "billing" in text and "gnp.exe" in text and not set(BAD) & set(text)


def test_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise UserError(f"{HOSTILE}: it can't be read", remedy=f"rename {HOSTILE}.")

    monkeypatch.setattr(entry, "app", fail)
    monkeypatch.setattr(entry, "log_to_terminal", lambda: None)
    with pytest.raises(SystemExit):
        entry.main()
    said = capsys.readouterr().err
    assert clean(said) and said.startswith("Error: ") and said.count("\n") == 2


def test_why_a_step_failed(capsys: pytest.CaptureFixture[str]) -> None:
    print_failures(Outcome(success=False, failures={"soft_labels": f"{HOSTILE}\n  mend it"}))
    assert clean(capsys.readouterr().err)


def test_an_answer() -> None:
    assert clean(_in_words({"task": "routing", "answer": HOSTILE, "confidence": 0.5}))
    assert clean(_in_words({"task": "order", "answer": {HOSTILE: HOSTILE}, "confidence": 0.5}))


def test_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    logger, shown = logging.getLogger("stillhouse"), io.StringIO()
    before, propagate, level = list(logger.handlers), logger.propagate, logger.level
    monkeypatch.setattr(sys, "stderr", shown)
    try:
        log_to_terminal()
        logger.info("learning %s", HOSTILE)
    finally:
        added = [h for h in logger.handlers if h not in before]
        logger.handlers, logger.propagate = before, propagate
        logger.setLevel(level)
    assert [type(handler) for handler in added] == [RichHandler]
    assert clean(shown.getvalue())
