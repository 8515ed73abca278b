from __future__ import annotations

import logging
import time
from types import SimpleNamespace

import pytest

from stillhouse import progress


def test_long_silence_is_broken_and_progress_is_not_interrupted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.2)  # it looks ten times as often
    with caplog.at_level(logging.INFO, logger="stillhouse"):
        with progress.heartbeat("importing"):
            for _ in range(8):
                now += 0.15
                progress.logger.info("a line of its own")
                time.sleep(0.05)
            assert "still at work" not in caplog.text
            now += 0.25
            ends = time.monotonic() + 60
            while "importing: still at work (1 s)" not in caplog.text:
                assert time.monotonic() < ends
                time.sleep(0.01)
            time.sleep(0.1)  # it was heard: silence begins anew
            assert caplog.text.count("still at work") == 1
            now += 0.25
        lines = caplog.text.count("importing: still at work")
        now += 10
        time.sleep(0.2)
    assert 1 <= lines <= 2
    assert caplog.text.count("still at work") == lines
    assert not [h for h in progress.logger.handlers if type(h).__name__ == "_LastLine"]
