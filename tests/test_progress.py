from __future__ import annotations

import logging
import time

import pytest

from stillhouse import progress


def test_long_silence_is_broken_and_progress_is_not_interrupted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 1.0)
    with caplog.at_level(logging.INFO, logger="stillhouse"):
        with progress.heartbeat("importing"):
            for _ in range(8):
                progress.logger.info("a line of its own")
                time.sleep(0.05)
            assert "still at work" not in caplog.text
            time.sleep(2.5)
        lines = caplog.text.count("importing: still at work")
        time.sleep(1.5)
    assert 1 <= lines <= 25
    assert caplog.text.count("still at work") == lines
    assert not [h for h in progress.logger.handlers if type(h).__name__ == "_LastLine"]
