import json
import re

import numpy as np
import pytest

from stillhouse.config.student import Gates
from stillhouse.errors import UserError
from stillhouse.report.assemble import make_report
from stillhouse.report.results import ModelResult
from stillhouse.report.summary import table_markdown
from stillhouse.tasks.classification_report import TABLE, confusions, scored, sections
from stillhouse.tasks.results import Scored
from stillhouse.tasks.samples import RIGHT_OR_WRONG, SAMPLE_TEXT_LENGTH


def answers(predicted: list[int], gold: list[int], labels: list[str]) -> Scored:
    """A model that says each of `predicted` with 0.9 confidence."""
    spread = np.full((len(predicted), len(labels)), 0.1 / (len(labels) - 1))
    spread[np.arange(len(predicted)), predicted] = 0.9
    return scored(labels, np.array(gold), spread)


def of(predictions: dict[str, list[int]], gold: list[int], labels: list[str]) -> dict[str, Scored]:
    return {name: answers(predicted, gold, labels) for name, predicted in predictions.items()}


def random_answers(seed: int, n: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, n), rng.dirichlet(np.full(classes, 0.5), n)


def test_scored_holds_what_rooms_above_need():
    gold, probabilities = random_answers(1, 60, 4)
    found = scored(["a", "b", "c", "d"], gold, probabilities)
    assert found.n == 60
    assert found.headline == "accuracy"
    assert found.right.tolist() == (probabilities.argmax(axis=1) == gold).tolist()
    assert found.score == found.right.mean() == found.metrics["accuracy"]
    assert found.calibration_error == found.metrics["ece"]
    assert set(found.figures) == {"accuracy", "macro_f1", "ece"}
    assert set(TABLE.values()) <= found.metrics.keys()
    json.dumps(found.metrics, allow_nan=False)


def test_scored_refuses_what_is_no_distribution():
    with pytest.raises(ValueError, match="sum to 1"):
        scored(["a", "b"], np.array([0]), np.array([[0.7, 0.7]]))


def test_confusions_name_the_error_and_whether_the_teacher_makes_it():
    found = of(
        {"teacher": [0, 1, 1, 1, 2], "student": [1, 1, 1, 2, 2]}, [0, 0, 0, 1, 2], ["a", "b", "c"]
    )
    student, teacher = found["student"].detail, found["teacher"].detail
    assert confusions(student, teacher) == [["a", "b", "3 of 3", "2"], ["b", "c", "1 of 1", "0"]]
    assert confusions(student, None)[0] == ["a", "b", "3 of 3", "–"]


def test_confusion_counts_are_gold_by_predicted():
    detail = answers([1, 1, 0, 2], [0, 0, 0, 1], ["a", "b", "c"]).detail
    assert detail.confusion().tolist() == [[1, 2, 0], [0, 0, 1], [0, 0, 0]]


def groups_of(results: dict[str, Scored], texts: list[str]):
    return next(s for s in sections(results, texts) if s.samples).samples


def test_samples_come_in_the_order_of_what_they_teach():
    results = of(
        {
            "teacher_zero_shot": [1, 1, 1, 1, 1],
            "teacher": [0, 0, 1, 0, 0],
            "student": [0, 1, 1, 0, 0],
            "student_quantized": [0, 1, 1, 0, 1],
        },
        [0, 0, 0, 0, 0],
        ["a", "b"],
    )
    texts = ["all right", "student lost it", "all wrong", "right too", "quantized lost it"]
    disagree, wrong, right = groups_of(results, texts)
    assert [s.text for s in disagree.samples] == ["student lost it", "quantized lost it"]
    assert [s.text for s in wrong.samples] == ["all wrong"]
    assert [s.text for s in right.samples] == ["all right", "right too"]
    first = disagree.samples[0]
    assert first.gold == "a"
    assert [(x.model, x.given, x.right) for x in first.answers] == [
        ("Teacher", "a", True),
        ("Student", "b", False),
        ("Student, quantized", "b", False),
    ]
    assert first.answers[0].confidence == pytest.approx(0.9)


def test_samples_are_limited_say_of_how_many_and_begin_with_the_least_confident():
    gold, probabilities = random_answers(2, 400, 2)
    found = scored(["a", "b"], gold, probabilities)
    *_, right = groups_of({"student": found}, [f"text {i}" for i in range(400)])
    assert len(right.samples) == RIGHT_OR_WRONG["right"][1] < right.total
    confidence = [sample.answers[-1].confidence for sample in right.samples]
    assert confidence == sorted(confidence)


def test_long_sample_text_is_cut_and_has_no_empty_lines():
    (only,) = groups_of(of({"student": [0]}, [0], ["a", "b"]), ["one\x07\n\n" + "word " * 500])
    text = only.samples[0].text
    assert text.startswith("one\nword")
    assert len(text) == SAMPLE_TEXT_LENGTH
    assert text.endswith("…")


def test_sections_of_few_and_of_many_classes():
    few = of({"teacher": [0, 1], "student": [0, 0]}, [0, 1], ["a", "b"])
    titles = [section.title for section in sections(few, ["x", "y"])]
    assert titles == [
        "What the figures mean",
        "Which classes are taken for which",
        "Can its confidence be trusted?",
        "Class by class",
        "All classes as a table",
        "Sample predictions",
    ]
    labels = [f"class {i}" for i in range(40)]
    many = of({"student": list(range(40))}, list(range(40)), labels)
    by_title = {section.title: section for section in sections(many, ["x"] * 40)}
    confusion = by_title["Which classes are taken for which"]
    assert confusion.figures[0].wide
    assert not confusion.tables  # nothing was confused
    assert "the 30 weakest of 40" in by_title["Class by class"].paragraphs[0]
    table = by_title["All classes as a table"].tables[0]
    assert table.header == ["Class", "Examples", "F1: Student"]
    assert table.rows[3] == ["class 3", "1", "1.000"]


def test_before_there_is_a_student():
    zero_shot = of({"teacher_zero_shot": [0, 1]}, [0, 1], ["a", "b"])
    assert [s.title for s in sections(zero_shot, ["x", "y"])] == [
        "What the figures mean",
        "Can its confidence be trusted?",
    ]


def test_models_tested_on_different_examples_are_refused_with_a_remedy():
    results = of({"teacher": [0, 1, 1], "student": [0, 1, 1]}, [0, 1, 1], ["a", "b"])
    for other in (
        answers([0, 1, 1], [1, 1, 0], ["a", "b"]),
        answers([0, 1], [0, 1], ["a", "b"]),
        answers([0, 1, 1], [0, 1, 1], ["a", "c"]),
    ):
        with pytest.raises(UserError, match="different examples") as refused:
            sections(results | {"student": other}, ["x", "y", "z"])
        assert "stillhouse run" in refused.value.remedy
    with pytest.raises(ValueError, match="2 texts for 3 examples"):
        sections(results, ["x", "y"])


PAYLOADS = ["</style><script>alert(1)</script>", "\x1b[31m\u202ered", "[x](javascript:a) | b"]


def test_whole_report_with_hostile_classes_and_texts(tmp_path):
    """Everything that this kind shows goes through the page: it renders, and nothing is live."""
    names = ("teacher_zero_shot", "teacher", "student", "student_quantized")
    predicted = dict(zip(names, ([2, 2, 2], [0, 1, 2], [0, 1, 1], [0, 0, 1]), strict=True))
    results = of(predicted, [0, 1, 2], PAYLOADS)
    make_report(
        folder=tmp_path,
        project="p",
        student="s",
        teacher_version="v",
        kinds={"routing": "classification"},
        results=[ModelResult(name, 10, 10, {"routing": x}) for name, x in results.items()],
        sections={"routing": sections(results, PAYLOADS)},
        limits=Gates(),
        learning_curve=[],
        provenance={},
    )
    html = (tmp_path / "report.html").read_text()
    assert "<script" not in html
    assert "\u202e" not in html
    # A confusion matrix, a reliability diagram for each of four models, F1.
    assert len(set(re.findall(r'src="data:image/svg\+xml;base64,[^"]+"', html))) == 6
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["student"]["routing"]["accuracy"] == pytest.approx(2 / 3)
    table = table_markdown(evaluation).splitlines()
    assert "Accuracy (95% CI) | Macro-F1 | ECE" in table[0]
    assert len(table[0]) <= 80
