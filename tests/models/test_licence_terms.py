"""The table of terms, and what the policy's answers make of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from stillhouse.models.licence import LicenceError, normalise
from stillhouse.models.licence_terms import (
    VERIFY,
    Circumstances,
    failing,
    student_duties,
    table,
    unanswered,
)
from tests.models.test_licence import check

WHO = {"by": "Anna Lee", "when": "2026-03-02", "note": "read with counsel"}


def test_every_row_says_where_it_is_from_and_whether_it_was_read() -> None:
    for name, row in table().items():
        assert normalise(name) == normalise(row.title) == name
        assert row.source.startswith("https://") and row.duties
        assert row.outputs in ("any", "derivatives", "restricted")
        assert row.read is None or isinstance(row.read, date)
        assert VERIFY in row.verify and ("not read" in row.verify) == (row.read is None)
        assert not [duty for duty in row.duties if "<" in duty]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("tongyi-qianwen", "qwen"),
        ("Qwen RESEARCH LICENSE AGREEMENT", "qwen-research"),
        ("deepseek-license", "deepseek"),
        ("NVIDIA Open Model License", "nvidia-open-model-license"),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-SA-4.0"),
    ],
)
def test_model_cards_names_lead_to_the_row(spelling: str, name: str) -> None:
    assert normalise(spelling) == name and name in table()


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        ("DEEPSEEK LICENSE AGREEMENT\n\nVersion 1.0, 23 October 2023\n", "deepseek"),
        ("Tongyi Qianwen RESEARCH LICENSE AGREEMENT\n\nTongyi ...", "qwen-research"),
        ("Qwen LICENSE AGREEMENT\n\nQwen Release Date: ...", "qwen"),
        ("META LLAMA 3 COMMUNITY LICENSE AGREEMENT\n", "llama3"),
        ("# Mistral AI Research License\n\nIf You want to use", "mrl"),
        ("NVIDIA Open Model License Agreement\n", "nvidia-open-model-license"),
        ("Creative Commons Attribution-NonCommercial 4.0 International", "CC-BY-NC-4.0"),
    ],
)
def test_the_opening_of_a_licences_text_is_recognized(
    tmp_path: Any, opening: str, expected: str
) -> None:
    from stillhouse.models.licence import Statement, stated_licences

    (tmp_path / "LICENSE").write_text(opening)
    assert stated_licences(tmp_path) == [Statement(expected, "LICENSE")]


@pytest.mark.parametrize(
    ("licence", "answers", "reason"),
    [
        ("llama3.1", {"monthly_users": 700_000_000}, None),
        ("llama3.1", {"monthly_users": 700_000_001}, "700,000,000 monthly users"),
        ("qwen", {"monthly_users": 200_000_000}, "100,000,000 monthly users"),
        ("CC-BY-NC-4.0", {"commercial": True}, "`commercial` is true"),
        ("CC-BY-NC-4.0", {"commercial": False}, None),
        ("llama4", {"region": "de", "multimodal": True}, "see or hear in EU, and `region` is de"),
        ("llama4", {"region": "DE"}, None),
        ("llama4", {"region": "US", "multimodal": True}, None),
        ("tencent-hunyuan", {"region": "KR"}, "grants nothing in KR"),
        ("llama3", {"is_cut": False}, "derivatives of it"),
        ("llama3", {}, None),
        ("llama3.1", {"is_cut": False}, None),
    ],
)
def test_a_condition_that_fails_stops_the_teacher_even_where_its_terms_were_accepted(
    licence: str, answers: dict[str, Any], reason: str | None
) -> None:
    asked = {"accepted": (licence,), "allow": ("MIT", licence), **answers}
    if reason is None:
        assert check(licence, **asked).licence == licence
        return
    with pytest.raises(LicenceError, match="is not allowed") as error:
        check(licence, **asked)
    assert reason in error.value.message
    assert VERIFY in error.value.remedy and table()[licence].source in error.value.remedy
    with pytest.raises(LicenceError):
        check(licence, **{**asked, "accepted": ("small-1", {"terms": licence, **WHO})})


def test_an_alternative_without_failing_conditions_passes() -> None:
    expression = "CC-BY-NC-4.0 OR MIT"
    assert check(expression, commercial=True).licence == expression
    for joint in ("CC-BY-NC-4.0 AND MIT", "(CC-BY-NC-4.0 OR MIT) AND Apache-2.0"):
        with pytest.raises(LicenceError):
            check(joint, accepted=(joint, "small-1"), commercial=True)


def test_what_would_decide_a_condition_and_is_not_set_is_told() -> None:
    assert check("llama3.1", accepted=("llama3.1",)).unanswered == ("monthly_users",)
    assert check("MIT").unanswered == ()
    assert unanswered(table()["llama4"], Circumstances(multimodal=True)) == [
        "monthly_users",
        "region",
    ]
    assert failing(table()["llama4"], Circumstances(multimodal=True)) == []


def test_terms_that_restrict_outputs_need_a_person_and_a_date() -> None:
    for accepted in ((), ("openai-terms",), ("small-1",)):
        with pytest.raises(LicenceError, match="a person has to accept them") as error:
            check("openai-terms", accepted=accepted, allow=("MIT", "openai-terms"))
        assert "{terms: openai-terms, by: NAME, when: DATE}" in error.value.remedy
    for terms in ("OpenAI terms of use", "small-1"):
        record = check("openai-terms", accepted=({"terms": terms, **WHO},))
        assert record.accepted == "Anna Lee, 2026-03-02"
    with pytest.raises(LicenceError):
        check("anthropic-terms", accepted=({"terms": "openai-terms", **WHO},))


def test_duties_of_a_student() -> None:
    llama = student_duties("llama3.2")
    assert any('"Llama 3.2 is licensed under the Llama 3.2 Community' in duty for duty in llama)
    assert any('name with "Llama"' in duty for duty in llama)
    assert (
        llama[-1].startswith("Verify at the primary source: Llama 3.2") and "read 2026" in llama[-1]
    )
    joint = student_duties("MIT AND CC-BY-SA-4.0")
    assert set(joint) == {*student_duties("MIT"), *student_duties("CC-BY-SA-4.0")}
    assert "house licence" in student_duties("house licence")[0]
    assert check("gemma", accepted=("gemma",)).duties == student_duties("gemma")
