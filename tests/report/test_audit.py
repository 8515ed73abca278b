"""What the report says to who audits it and to who makes the student again."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stillhouse.report.audit import audit_sections
from stillhouse.report.engineering import duration, engineering_sections
from stillhouse.report.people import people_readings, people_sections
from stillhouse.tasks.sections import Section
from tests.report.recorded import recorded


def words(sections: list[Section]) -> str:
    cells = [" | ".join(row) for s in sections for t in s.tables for row in (t.header, *t.rows)]
    return "\n".join([*(p for s in sections for p in s.paragraphs), *cells])


def test_the_audit_says_what_was_recorded() -> None:
    said = words(audit_sections(recorded()))
    for sentence in (
        "1,500 documents and records were read",
        "60 of the pairs had no answer",
        "Made anew since this student's dataset: parsed_documents.",
        "tickets | records | 3 | 1,400 | 1,200 | 60 | 90",
        "could not be read (quarantine) | scan | 5",
        "the same text as another | exact duplicate | 31",
        "1,234 pieces of personal data in 700 of 1,500 documents",
        "masking covers 92.5% wholly (95% interval 90.8% to 93.9%)",
        "not masked: tickets.",
        "10.0% of the documents (140 of 1,400) are the only ones",
        "PERSON | 1,000 | 96.0%",
        "texts up to internal are learned from",
        "People read 100 of a sample of labels: 95 accepted, 3 corrected, 2 rejected; of all, 5.0% "
        "would not be accepted (95% interval 2.0% to 11.0%).",
        "Do what tickets asks.",
        "not intended | Decisions about people that nobody looks at.",
        "tickets when checkpoint was made | " + "1e" * 32,
        "run of checkpoint | tickets",
    ):
        assert sentence in said, sentence


def test_what_was_not_measured_is_said() -> None:
    found = recorded()
    found["audit"] |= {"pii_quality": {}, "reidentification_risk": {}, "licence": {}, "newer": []}
    said = words(audit_sections(found))
    assert "was not measured here" in said and "Made anew" not in said and "Duties" not in said
    assert audit_sections({}) == engineering_sections({}) == []


def test_the_engineer_learns_time_memory_and_precision() -> None:
    said = words(engineering_sections(recorded()))
    for sentence in (
        "Made on tickets, 8 cores, 68.7 GB of memory, no GPU (Linux).",
        "distillation | 2 h 5 min | 2.5 GB",
        "adapting the teacher | 1 min 48 s | 2.5 GB",
        "all | 2 h 6 min | –",
        "Student | 3 | 2 h 1 min | 900 k | 123 | bfloat16",
        "28 matrices are quantized, calibrated on 9,000 tokens",
        "Warning: tickets",
        "Student | 135 M | 269 MB | – | – | 55.2",
    ):
        assert sentence in said, sentence
    assert "GPU memory" not in said
    assert [duration(s) for s in (None, 7.46, 59.97)] == ["–", "7.5 s", "1 min 0 s"]


def test_several_machines_are_told_apart_and_older_records_say_less() -> None:
    found = recorded()
    steps = found["engineering"]["steps"]
    gpu = {**steps[0]["machine"], "gpus": ["H100", "H100"]}
    steps[1] |= {"machine": gpu, "peaks": {"ram": 1 << 30, "gpu": 5 << 30}}
    steps[2] |= {"machine": {}, "peaks": {}, "seconds": None}
    said = words(engineering_sections(found))
    assert "1 min 48 s | 1.1 GB | 5.4 GB | tickets, 8 cores, 68.7 GB of memory, 2 × H100" in said
    assert "distillation | – | – | – | –" in said
    for step in steps:
        step["machine"] = {}
    assert "were not recorded" in words(engineering_sections(found))


def test_people_are_told_from_chance() -> None:
    found: dict[str, Any] = {**recorded(), "about": {"display": {}}}
    section, *_ = people_sections(found, "digest")
    said = words([section])
    for sentence in (
        "2 people judged 44 outputs",
        "of 9 and its teacher's alone of 1: where they differ the student's is preferred in 0.80",
        "more than chance explains (exact sign test, p = 0.02)",
        "kappa of 0.80 (0.60–0.90) over 40 outputs",
        "not shown to reach 0.667",
        "Cohen's kappa of 0.80",
        "Student, quantized | 0.80 (0.60–0.90)",
    ):
        assert sentence in said, sentence
    assert people_sections(found, "other") == [] and people_readings({}, "digest") == []
    one = found["people"]["digest"]
    one |= {"reviewers": 1, "read_twice": 0, "alpha": None, "kappa": None}
    one["preferred"] = {"wins": 0, "losses": 0, "ties": 3, "rate": None, "p_value": 1.0}
    said = " ".join(people_readings(found, "digest"))
    assert "One person judged" in said and "people prefer neither" in said
    assert "no output was judged by two" in said


def test_where_and_when_it_was_made_is_no_part_of_what_a_report_is(
    made: Callable[..., Any], tmp_path: Path
) -> None:
    both = recorded()
    about = {name: both[name] for name in ("audit", "engineering")}
    made = partial(made, sections={})  # nothing to draw
    plain = made()
    found = made(recorded=about, proof={"people": both["people"]})
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["audit"]["sources"][0]["name"] == "tickets"
    assert evaluation["engineering"]["quantization"]["bits"] == 4
    assert found.digest != plain.digest  # what people say is part of it
    elsewhere = recorded("another run")
    again = made(
        recorded={name: elsewhere[name] for name in about}, proof={"people": both["people"]}
    )
    assert again.digest == found.digest
    page = (tmp_path / "report.html").read_text()
    order = ['id="task-1"', "What people say", 'id="audit"', 'id="engineering"', 'id="settings"']
    places = [page.index(text) for text in order]
    assert places == sorted(places)
