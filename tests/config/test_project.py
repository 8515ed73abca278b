from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stillhouse.config.base import ConfigError
from stillhouse.config.project import load_project

MINIMAL = """\
name: demo
sources:
  - {name: tickets, path: t.jsonl, kind: records, fields: {text: body, label: queue}}
tasks:
  - {name: routing, kind: classification, sources: [tickets]}
teachers:
  - {version: t-1, model: models/t, license: MIT}
students:
  - {name: router, tasks: [routing]}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def _write(text: str) -> Path:
        path = tmp_path / "stillhouse.yaml"
        path.write_text(text)
        return path

    return _write


def test_a_minimal_file_is_complete(write: Callable[[str], Path]) -> None:
    project = load_project(write(MINIMAL))
    assert project.students[0].distillation.temperature == 2.0
    assert project.data_path == project.root / "var"


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("kind: records", "kind: recrods", 3, "sources[0].kind", "'records'"),
        ("version: t-1", "version: 'a,b'", 7, "teachers[0].version", "plain name"),
        ("tasks: [routing]", "taks: [routing]", 9, "students[0].taks", "did you mean `tasks`?"),
        ("sources: [tickets]", "sources: [mails]", 5, "tasks[0].sources[0]", "unknown 'mails'"),
        ("tasks: [routing]}", "tasks: [rooting]}", 9, "students[0].tasks[0]", "has routing"),
        ("name: routing", "name: bytes", 5, "tasks[0].name", "evaluation.json"),
        (", license: MIT", "", 7, "teachers[0].license", "required"),
        ("name: router", "name: router, init: {layers: 0}", 9, "students[0].init.layers", "0"),
        (", fields: {text: body, label: queue}", "", 3, "sources[0]", "fields"),
    ],
)
def test_errors_name_file_line_field_and_remedy(
    write: Callable[[str], Path], old: str, new: str, line: int, field: str, says: str
) -> None:
    path = write(MINIMAL.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    text = str(caught.value)
    assert f"{path}:{line}: {field}" in text
    assert says in text
    assert "Remedy: " in text
    assert len(text.splitlines()) < 20


def test_a_name_that_stands_twice_points_at_the_second(write: Callable[[str], Path]) -> None:
    path = write(MINIMAL + "  - {name: router, tasks: [routing]}\n")
    with pytest.raises(ConfigError, match=r"yaml:10: students\[1\]\.name: 'router' stands more"):
        load_project(path)


def test_sampled_labels_serve_one_temperature(write: Callable[[str], Path]) -> None:
    second = "  - {name: other, tasks: [routing], distillation: {temperature: 1.5}}\n"
    assert len(load_project(write(MINIMAL + second)).students) == 2
    path = write(MINIMAL + second + "soft_labels: {encoding: sampled}\n")
    with pytest.raises(ConfigError, match=r"soft_labels\.encoding.*1\.5, 2;.*or use top_k"):
        load_project(path)


def test_what_is_not_yaml_is_shown_with_its_line(write: Callable[[str], Path]) -> None:
    path = write("name: [demo\nsources: x\n")
    with pytest.raises(ConfigError, match=r"stillhouse\.yaml:2: this is not YAML"):
        load_project(path)


def test_an_empty_file_says_where_to_start(write: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match="stillhouse init"):
        load_project(write(""))


def test_the_sample_is_used_only_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STILLHOUSE_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no project file"):
        load_project()
    assert load_project(or_sample=True).name == "helpdesk"


def test_the_environment_names_the_file(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(MINIMAL)
    monkeypatch.setenv("STILLHOUSE_PROJECT", str(path.parent))
    assert load_project().file == path
    monkeypatch.setenv("STILLHOUSE_PROJECT", str(path.parent / "missing.yaml"))
    with pytest.raises(ConfigError, match=r"missing\.yaml: there is no project file"):
        load_project()
