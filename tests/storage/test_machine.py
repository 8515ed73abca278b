"""The machine is named, and the most memory of one piece of work is that work's own."""

from __future__ import annotations

import sys

import pytest
import torch

from stillhouse.storage.machine import forget_peaks, machine, peaks


def test_the_machine_is_named() -> None:
    found = machine()
    assert found["processor"] and found["cores"] >= 1 and found["memory"] > 1 << 28
    assert isinstance(found["gpus"], list)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_peak_is_forgotten_before_the_next_piece_of_work() -> None:
    forget_peaks()
    before = peaks()["ram"]
    held = bytearray(300 << 20)
    for place in range(0, len(held), 4096):  # a page that nobody wrote to takes no memory
        held[place] = 1
    assert peaks()["ram"] >= before + (250 << 20)
    del held
    forget_peaks()
    assert peaks()["ram"] < before + (200 << 20)


def test_a_gpu_gets_back_what_is_held_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in a circle, too: models do."""
    done = []

    class Model:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            done.append("model gone")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("given back"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: done.append("forgotten"))
    Model()
    forget_peaks()
    assert done == ["model gone", "given back", "forgotten"]
