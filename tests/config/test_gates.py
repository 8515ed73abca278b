"""Gates of the project file: limits by task, and the name that one of them had."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from stillhouse.config import renamed
from stillhouse.config.base import ConfigError
from stillhouse.config.project import Project, load_project
from tests.made import MINIMAL


def load(folder: Path, gates: str) -> Project:
    path = folder / "stillhouse.yaml"
    path.write_text(f"{MINIMAL}gates: {gates}\n")
    return load_project(path)


def test_a_task_has_the_projects_limits_but_for_those_it_names(tmp_path: Path) -> None:
    gates = load(
        tmp_path, "{max_score_drop: 0.02, tasks: {routing: {max_quantization_drop: 0.05}}}"
    ).gates
    assert gates.limit("max_quantization_drop", "routing") == 0.05
    assert gates.limit("max_quantization_drop", "another") == 0.01
    assert gates.limit("max_score_drop", "routing") == 0.02
    assert gates.limit("max_ece", "routing") == 0.10


def test_a_limit_of_zero_is_a_limit(tmp_path: Path) -> None:
    gates = load(tmp_path, "{tasks: {routing: {max_score_drop: 0}}}").gates
    assert gates.limit("max_score_drop", "routing") == 0


@pytest.mark.parametrize(
    ("gates", "field", "says"),
    [
        ("{tasks: {rooting: {}}}", "gates.tasks.rooting", "did you mean `routing`?"),
        ("{tasks: {xyz: {}}}", "gates.tasks.xyz", "unknown 'xyz'; the file has routing"),
        ("{tasks: {routing: {max_ace: 0.1}}}", "gates.tasks.routing.max_ace", "`max_ece`"),
        ("{max_score_dorp: 0.1}", "gates.max_score_dorp", "did you mean `max_score_drop`?"),
        ("{tasks: {routing: {max_ece: 2}}}", "gates.tasks.routing.max_ece", "less than"),
        (
            "{max_accuracy_drop: 0.1, max_score_drop: 0.1}",
            "gates.max_accuracy_drop",
            "the same as `max_score_drop`",
        ),
    ],
)
def test_errors_name_line_field_and_remedy(
    tmp_path: Path, gates: str, field: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, gates)
    text = str(caught.value)
    assert f"stillhouse.yaml:10: {field}" in text
    assert says in text
    assert "Remedy: " in text


def test_the_old_name_is_read_with_a_word_of_advice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    renamed._advise.cache_clear()
    with caplog.at_level(logging.WARNING, "stillhouse"):
        old = load(tmp_path, "{max_accuracy_drop: 0.07, max_ece: 0.2}").gates
        load(tmp_path, "{max_accuracy_drop: 0.07, max_ece: 0.2}")
    assert old == load(tmp_path, "{max_score_drop: 0.07, max_ece: 0.2}").gates
    (said,) = caplog.messages  # once, however often the file is read
    assert "stillhouse.yaml:10: gates.max_accuracy_drop is called `max_score_drop` now" in said


def test_gates_that_are_no_section_are_told_as_before(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"yaml:10: gates"):
        load(tmp_path, "none")
