"""Sections of written answers: what each kind shows, and that a page of them is inert."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.student import Gates
from stillhouse.errors import UserError
from stillhouse.report.assemble import make_report
from stillhouse.report.results import ModelResult
from stillhouse.report.summary import table_markdown
from stillhouse.tasks.generative_report import (
    answer_sections,
    decoding_sections,
    extraction_sections,
    summary_sections,
)
from stillhouse.tasks.generative_scores import score_answers, score_extraction, score_summaries
from stillhouse.tasks.results import Scored
from stillhouse.tasks.sections import Section

TEXTS = ["three pumps, please", "a hose", "which valve?"]
GOLD = [{"product": "pump", "quantity": 3}, {"product": "hose"}, {"product": "valve"}]
SAID: dict[str, list[Any]] = {
    "baseline": [{"product": "pump"}] * 3,
    "teacher_zero_shot": [None, None, {"product": "valve"}],
    "teacher": GOLD,
    "student": [GOLD[0], {"product": "house"}, GOLD[2]],
    "student_quantized": [GOLD[0], {"product": "house"}, None],
}
QUESTIONS = ["Where?", "Who?", "Why?"]
ANSWERS = {
    "teacher": ["in Paris", "", "it rained"],
    "student_quantized": ["Paris", "nobody", "it rained"],
}
GOLD_ANSWERS = ["in Paris", "", "because it rained"]


def extracted() -> dict[str, Scored]:
    found = {}
    for model, said in SAID.items():
        sure = [dict.fromkeys(x or {}, 0.8) for x in said]
        decodings = {"schema": said, "free": [None] * 3}
        known: dict[str, Any] = {"field_confidence": sure, "decodings": decodings}
        found[model] = score_extraction(GOLD, said, **known)
    found["teacher"] = replace(found["teacher"], display="Teacher, 4 shots")
    return found


def answered(**known: Any) -> dict[str, Scored]:
    return {model: score_answers(GOLD_ANSWERS, x, **known) for model, x in ANSWERS.items()}


def summarized() -> dict[str, Scored]:
    gold = ["the pump is broken", "the hose is new", "no valve fits"]
    said = {"teacher": gold, "student_quantized": ["the pump broke", "a hose", "no valve fits"]}
    return {model: score_summaries(gold, x, confidence=[0.5] * 3) for model, x in said.items()}


def by_title(sections: list[Section]) -> dict[str, Section]:
    return {section.title: section for section in sections}


def test_extraction() -> None:
    found = by_title(extraction_sections(extracted(), TEXTS))
    assert list(found) == [
        "What the figures mean",
        "Field by field",
        "All fields as a table",
        "With and without constraints",
        "Can its confidence be trusted?",
        "Sample answers",
    ]
    assert "share of right fields lie apart" in found["What the figures mean"].paragraphs[0]
    (table,) = found["All fields as a table"].tables
    assert table.header[2:] == ["F1: Teacher, 4 shots", "F1: Student", "F1: Student, quantized"]
    disagree = found["Sample answers"].samples[0]
    assert disagree.total == 2
    shown = {s.text: [(a.given, a.right) for a in s.answers] for s in disagree.samples}
    assert shown["a hose"] == [
        ("(all right)", True),
        ("product: house", False),
        ("product: house", False),
    ]
    assert shown["which valve?"][2] == ("(no valid JSON)", False)


def test_ways_of_decoding_stand_in_one_order_whatever_was_measured() -> None:
    (section,) = decoding_sections(extracted(), {"Field F1": "field_f1", "Valid": "valid"})
    figures, valid = section.tables
    assert figures.header == ["Field F1, decoded", "Free", "Schema"]
    assert figures.rows[1] == ["Teacher, 4 shots", "0.000", "1.000"]
    assert [row[0] for row in figures.rows] == [
        "Teacher, zero-shot",
        "Teacher, 4 shots",
        "Student",
        "Student, quantized",
    ]
    assert valid.rows[3] == ["Student, quantized", "0.000", "0.667"]
    assert "schema: only what keeps to the schema can be written" in section.paragraphs[0]
    plain = {"student": score_extraction(GOLD, SAID["student"])}
    assert decoding_sections(plain, {"Field F1": "field_f1"}) == []
    other = score_extraction(GOLD, SAID["student"], decodings={"beam": GOLD})
    (section,) = decoding_sections(plain | {"teacher": other}, {"Field F1": "field_f1"})
    assert section.tables[0].header == ["Field F1, decoded", "beam"]


def test_answers() -> None:
    found = by_title(answer_sections(answered(confidence=[0.9, 0.8, 0.7]), QUESTIONS))
    assert list(found) == [
        "What the figures mean",
        "How good the answers are",
        "Does it know when there is no answer?",
        "Can its confidence be trusted?",
        "Sample answers",
    ]
    abstained = found["Does it know when there is no answer?"]
    assert abstained.paragraphs == ["1 of 3 questions has no answer in the passage."]
    assert abstained.tables[0].rows == [
        ["Teacher", "1", "1.000", "1.000"],
        ["Student, quantized", "0", "–", "0.000"],
    ]
    first = found["Sample answers"].samples[0].samples[0]
    assert (first.text, first.gold, first.answers[0].given) == ("Where?", "in Paris", "in Paris")
    assert "with the model's confidence" in found["Sample answers"].paragraphs[0]


def test_without_confidences_nothing_is_said_of_them() -> None:
    found = by_title(answer_sections(answered(), QUESTIONS))
    assert "Can its confidence be trusted?" not in found
    assert "ECE" not in found["What the figures mean"].paragraphs[0]
    assert "confidence" not in found["Sample answers"].paragraphs[0]


def test_where_every_question_was_to_be_answered_and_was_abstention_is_left_out() -> None:
    results = {"student": score_answers(["a", "b"], ["a", "c"])}
    assert "Does it know when there is no answer?" not in by_title(
        answer_sections(results, ["x", "y"])
    )


def test_summaries() -> None:
    found = by_title(summary_sections(summarized(), TEXTS))
    assert list(found) == [
        "What the figures mean",
        "How good the answers are",
        "How long the summaries are",
        "Sample answers",
    ]
    assert found["How long the summaries are"].tables[0].rows[1] == [
        "Student, quantized",
        "2.7",
        "3.7",
    ]
    answer = found["Sample answers"].samples[0].samples[0].answers[1]
    assert (answer.right, answer.confidence) == (None, None)
    assert answer.score == pytest.approx(2 * 1 / (2 + 4))
    assert "ROUGE-L" in found["How good the answers are"].figures[0].alt


@pytest.mark.parametrize(
    ("sections", "results"),
    [
        (extraction_sections, extracted),
        (answer_sections, answered),
        (summary_sections, summarized),
    ],
)
def test_models_tested_on_different_examples_are_refused(sections: Any, results: Any) -> None:
    found = results()
    detail = replace(found["teacher"].detail, gold=["another"] * 3)
    with pytest.raises(UserError, match="different examples"):
        sections(found | {"teacher": replace(found["teacher"], detail=detail)}, TEXTS)
    with pytest.raises(ValueError, match="1 texts for 3 examples"):
        sections(found, TEXTS[:1])


def test_before_there_is_a_student() -> None:
    found = {"teacher_zero_shot": extracted()["teacher_zero_shot"]}
    titles = [section.title for section in extraction_sections(found, TEXTS)]
    assert "Field by field" not in titles
    assert "Sample answers" not in titles


HOSTILE = "</style><script>alert(1)</script>\u202e\x1b[31m$x^{$"


def test_whole_report_of_hostile_answers(tmp_path: Path) -> None:
    """All that these kinds show goes through the page: it renders, and nothing is live."""
    models = ("teacher", "student", "student_quantized")
    gold, said = [{HOSTILE: HOSTILE}, {"a": [HOSTILE]}], [{HOSTILE: "x"}, {"a": HOSTILE}]
    texts = [HOSTILE] * 2
    results: dict[str, dict[str, Scored]] = {
        "order": {
            m: score_extraction(gold, said, confidence=[0.5, 0.9], decodings={HOSTILE: said})
            for m in models
        },
        "qa": {m: score_answers(texts, [HOSTILE, ""], confidence=[0.1, 0.2]) for m in models},
        "digest": {m: score_summaries(texts, [HOSTILE, "x"]) for m in models},
    }
    shown = {
        "order": extraction_sections(results["order"], texts),
        "qa": answer_sections(results["qa"], texts),
        "digest": summary_sections(results["digest"], texts),
    }
    make_report(
        folder=tmp_path,
        project="p",
        student="s",
        teacher_version="v",
        kinds={"order": "extraction", "qa": "question_answering", "digest": "summarization"},
        results=[
            ModelResult(m, 9, 9, {task: results[task][m] for task in results}) for m in models
        ],
        sections=shown,
        limits=Gates(),
        learning_curve=[],
        provenance={},
    )
    html = (tmp_path / "report.html").read_text()
    for live in ("<script", "\u202e", "\x1b"):
        assert live not in html
    # Field by field, two rows of three reliability diagrams, and two distributions; those of models
    # that answer alike are the same picture but for the title.
    assert len(set(re.findall(r'src="data:image/svg\+xml;base64,[^"]+"', html))) == 9
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    found = evaluation["student_quantized"]
    assert {"field_f1", "exact_match", "valid", "score", "kind"} <= found["order"].keys()
    assert {"f1", "exact_match", "abstention_precision", "abstention_recall"} <= found["qa"].keys()
    assert {"rouge_l", "chrf"} <= found["digest"].keys()
    assert {x["test"] for x in evaluation["comparisons"]["order"]} == {"bootstrap"}
    assert max(map(len, table_markdown(evaluation).splitlines())) <= 80
