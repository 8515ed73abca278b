"""What servers are told of a student's confidence."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stillhouse.assets.proof import _keep_calibrations
from stillhouse.evaluate.asking import read_calibration


def test_calibration_lies_beside_the_report_and_in_no_other_steps_folder(
    tmp_path: Path,
) -> None:
    fitted = {"temperature": 1.5, "threshold": 0.7}
    teachers = {"fitted": {"temperature": 2.0, "threshold": None}}
    written = {"fitted": {"temperature": None, "threshold": None, "answer": [1.0, 2.0]}}
    worth: Any = {
        "routing": {"teacher": teachers, "student_quantized": {"fitted": fitted}},
        "order": {"teacher": written, "student_quantized": written},
    }
    work: Any = SimpleNamespace(folder=tmp_path)
    _keep_calibrations(work, worth)
    assert [file.name for file in tmp_path.rglob("*")] == ["calibration.json"]
    served = read_calibration(tmp_path, "student_quantized")
    assert served == {"routing": fitted, "order": written["fitted"]}
    assert read_calibration(tmp_path, "teacher") == {
        "routing": teachers["fitted"],
        "order": written["fitted"],
    }
    whole = json.loads((tmp_path / "calibration.json").read_text())
    assert whole["routing"] == {"threshold": 0.7}
