"""OpenMP itself says what it took over from the environment when it is loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

CODE = """
from stillhouse.threads import be_considerate
be_considerate()
import torch
"""


@pytest.mark.parametrize(("chosen", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_asked_otherwise(
    chosen: str | None, expected: str
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment["OMP_DISPLAY_ENV"] = "TRUE"
    if chosen is not None:
        environment["OMP_WAIT_POLICY"] = chosen
    found = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    )
    assert re.findall(r"OMP_WAIT_POLICY = '(\w+)'", found.stderr) == [expected]
