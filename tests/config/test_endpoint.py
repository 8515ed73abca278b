"""What a project file may say of a teacher that a server runs, and of a student without layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.config.base import ConfigError
from stillhouse.config.project import Project, load_project

TEXT = """\
name: demo
sources:
  - {name: tickets, path: t.jsonl, kind: records, fields: {text: body, label: queue}}
tasks:
  - {name: routing, kind: classification, sources: [tickets]}
  - {name: gist, kind: summarization, sources: [tickets]}
teachers:
  - version: remote-1
    model: "openai:http://127.0.0.1:8000/v1#qwen3-32b"
    license: Apache-2.0
    tokenizer: models/qwen
    adapt: {method: none}
    endpoint: {log_probs: auto}
students:
  - {name: router, tasks: [routing, gist], init: {from: models/small, license: MIT, layers: all},
     distillation: {}}
"""


def loaded(folder: Path, **changes: str) -> Project:
    text = TEXT
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    file = folder / "stillhouse.yaml"
    file.write_text(text)
    return load_project(file)


def test_classes_are_learned_softly_and_texts_from_their_words(tmp_path: Path) -> None:
    project = loaded(tmp_path)
    (teacher,), (student,) = project.teachers, project.students
    assert teacher.elsewhere
    assert [t.name for t in project.softly_learned] == ["routing"]
    # Nothing of the teacher's is there to be drawn to.
    assert [student.alignment_of(t) for t in project.tasks] == [0.0, 0.0]
    kept = [
        project.soft_labels.encoding_of(t, adapted=False, elsewhere=True) for t in project.tasks
    ]
    assert kept == ["labels", "top_k"]


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        ("adapt: {method: none}", "adapt: {}", "adapt.method", "adapt: {method: none}"),
        ("    tokenizer: models/qwen\n", "", "model", "tokenizer"),
        ("from: models/small, license: MIT, ", "", "init.from", "has no layers here"),
        ("layers: all", "layers: 0", "init.layers", ""),
        (", license: MIT", "", "init.from", "add `license:`"),
        ("from: models/small", 'from: "openai:http://h/v1#m"', "init.from", "has no layers"),
        ("{log_probs: auto}", "{log_probs: none}", "distillation.alpha", "sequence-level"),
        ("distillation: {}", "distillation: {alpha: 1}", "distillation.temperature", "to 1"),
        ("distillation: {}", "distillation: {alignment: 1}", "distillation.alignment", "remove it"),
        (
            "students:",
            "soft_labels: {encoding: sampled}\nstudents:",
            "soft_labels.encoding",
            "top_k",
        ),
        ('"openai:http://127.0.0.1:8000/v1#qwen3-32b"', "here", "tokenizer", "remove it"),
        ("{log_probs: auto}", "{api_key: sesame}", "endpoint.api_key", ""),
        ("{log_probs: auto}", "{api_key: {env: A, file: b}}", "endpoint.api_key", "{env: NAME}"),
    ],
)
def test_what_can_not_be_is_told_with_its_field(
    tmp_path: Path, old: str, new: str, field: str, said: str
) -> None:
    with pytest.raises(ConfigError) as told:
        loaded(tmp_path, **{old: new})
    assert field in str(told.value)
    assert said in str(told.value)


def test_a_server_without_log_probabilities_teaches_by_its_answers(tmp_path: Path) -> None:
    project = loaded(
        tmp_path,
        **{
            "{log_probs: auto}": "{log_probs: none}",
            "distillation: {}": "distillation: {alpha: 0}",
        },
    )
    assert not project.softly_learned
