"""OpenMP itself says what it took over from the environment when it is loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from stillhouse.threads import be_considerate

CODE = """
from stillhouse.threads import be_considerate
be_considerate()
import torch
"""


def test_threads_sleep_while_they_wait() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    found = subprocess.run(
        [sys.executable, "-c", CODE],
        env=environment | {"OMP_DISPLAY_ENV": "TRUE"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.findall(r"OMP_WAIT_POLICY = '(\w+)'", found.stderr) == ["PASSIVE"]


def test_what_is_taken_of_a_gpu_grows_unless_somebody_asks_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTORCH_CUDA_ALLOC_CONF", raising=False)
    be_considerate()
    assert os.environ["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64")
    be_considerate()
    assert os.environ["PYTORCH_CUDA_ALLOC_CONF"] == "max_split_size_mb:64"


def test_who_asks_otherwise_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    be_considerate()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
