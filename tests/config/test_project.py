from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stillhouse.config.base import ConfigError
from stillhouse.config.project import load_project
from tests.made import MINIMAL

# In place of "teachers:".
GIST = "  - {name: gist, kind: summarization, sources: [tickets]}\nteachers:"


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
        (
            "teachers:",
            GIST.replace("}", ", answers: [a, b]}"),
            6,
            "tasks[1].answers",
            "string",
        ),
        ("name: routing", "name: bytes", 5, "tasks[0].name", "evaluation.json"),
        (", license: MIT", "", 7, "teachers[0].license", "required"),
        ("name: router", "name: router, init: {layers: 0}", 9, "students[0].init.layers", "0"),
        (", fields: {text: body, label: queue}", "", 3, "sources[0]", "fields"),
        (
            "tasks:\n",
            "automation: {schedules: [{name: s, cron: daily}]}\ntasks:\n",
            4,
            "automation.schedules[0].cron",
            "minute, hour, day",
        ),
        (
            "tasks:\n",
            "automation: {schedules: [{name: s, cron: '0 2 * * *', time_zone: Lyon}]}\ntasks:\n",
            4,
            "automation.schedules[0].time_zone",
            "Europe/Berlin",
        ),
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


def test_soft_labels_are_for_what_a_student_learns_from_them(write: Callable[[str], Path]) -> None:
    both = MINIMAL.replace("teachers:", GIST).replace("tasks: [routing]", "tasks: [routing, gist]")
    expected = {
        "": ["routing"],
        ", distillation: {alpha: 0.5}": ["routing", "gist"],
        ", distillation: {alpha: 0}": [],
    }
    for how, tasks in expected.items():
        project = load_project(write(both.replace("name: router", f"name: router{how}")))
        assert [task.name for task in project.softly_learned] == tasks
    alone = load_project(write(MINIMAL.replace("teachers:", GIST)))  # a task without a student
    assert [task.name for task in alone.softly_learned] == ["routing"]


def test_what_says_that_there_is_no_answer_says_something(write: Callable[[str], Path]) -> None:
    asked = GIST.replace("summarization", "question_answering")
    text = MINIMAL.replace("teachers:", asked.replace("}", ", no_answer: '%s'}"))
    task = load_project(write(text % " none ")).tasks[1]
    assert task.model_dump()["no_answer"] == "none"
    with pytest.raises(ConfigError, match=r"tasks\[1\].no_answer: white space"):
        load_project(write(text % " "))


def test_a_name_that_stands_twice_points_at_the_second(write: Callable[[str], Path]) -> None:
    path = write(MINIMAL + "  - {name: router, tasks: [routing]}\n")
    with pytest.raises(ConfigError, match=r"yaml:10: students\[1\]\.name: 'router' stands more"):
        load_project(path)


def test_each_task_has_its_own_soft_labels_at_any_temperatures(
    write: Callable[[str], Path],
) -> None:
    text = MINIMAL + "  - {name: other, tasks: [gist], distillation: {temperature: 1.5}}\n"
    text = text.replace(
        "teachers:", "  - {name: gist, kind: summarization, sources: [tickets]}\nteachers:"
    )
    for chosen, expected in {
        "": ["labels", "sampled"],
        "soft_labels: {encoding: sampled}\n": ["sampled", "sampled"],
        "soft_labels: {encoding: hidden}\n": ["hidden", "hidden"],
    }.items():
        project = load_project(write(text + chosen))
        found = [project.soft_labels.encoding_of(t, adapted=True) for t in project.tasks]
        assert found == expected
        # A teacher that nobody adapts knows no class tokens.
        left = [project.soft_labels.encoding_of(t, adapted=False) for t in project.tasks]
        assert left == ["labels", expected[1]]


def test_probabilities_of_classes_are_not_for_answers_in_words(
    write: Callable[[str], Path],
) -> None:
    path = write(MINIMAL.replace("teachers:", GIST) + "soft_labels: {encoding: labels}\n")
    with pytest.raises(ConfigError, match=r"yaml:11: soft_labels\.encoding: .*task gist are texts"):
        load_project(path)
    assert load_project(write(MINIMAL + "soft_labels: {encoding: labels}\n"))


@pytest.mark.parametrize("encoding", ["top_k", "sampled", "hidden"])
def test_a_teacher_that_answers_with_names_has_no_other_soft_labels(
    write: Callable[[str], Path], encoding: str
) -> None:
    left = "license: MIT, adapt: {method: none}}"
    text = MINIMAL.replace("license: MIT}", left) + f"soft_labels: {{encoding: {encoding}}}\n"
    with pytest.raises(ConfigError, match=r"soft_labels\.encoding: .*t-1 answers with the classes"):
        load_project(write(text))
    assert load_project(write(text.replace(encoding, "labels")))
    # Other tasks have them.
    assert load_project(write(text.replace("teachers:", GIST)))


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
