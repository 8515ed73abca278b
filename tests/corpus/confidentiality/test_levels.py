"""What marks a document, and what only looks as if it did."""

from __future__ import annotations

import pytest

from stillhouse.corpus.confidentiality.levels import level_of, level_of_folder, lookup_with
from stillhouse.corpus.confidentiality.marks import (
    EDGE,
    FIRST_PAGE,
    LINE,
    MOST,
    PROPERTY,
    marks_of,
    marks_of_record,
)
from stillhouse.corpus.confidentiality.words import LEVELS

LOOKUP = lookup_with({"Grade 7": "restricted", "f42aa342-8706-4288-bd11-ebb85995028c": "internal"})

MARKED = {
    "restricted": [
        *("Strictly confidential", "STRICTLY PRIVATE & CONFIDENTIAL", "Highly Confidential"),
        *("S T R E N G   V E R T R A U L I C H", "VS-NfD", "VS – Nur für den Dienstgebrauch"),
        *("VS - NUR FÜR DEN DIENSTGEBRAUCH", "Geheim"),
        *("Très confidentiel", "DIFFUSION RESTREINTE"),
        *("極秘", "【極秘】", "厳秘", "ลับมาก"),
        *("ลับที่สุด", "TLP:RED", "TLP: RED", "tlp:amber+strict"),
        *("Classification: C4",),
        *("ชั้นความลับ: ลับที่สุด", "Acme AG – streng vertraulich – Seite 3"),
        *("Acme Robotics Ltd Strictly Confidential",),
        *("Grade 7", "Schutzklasse | Streng vertraulich"),
    ],
    "confidential": [
        *("Confidential", "- CONFIDENTIAL -", "Acme GmbH | Vertraulich | Seite 3 von 9"),
        *("Confidentiel", "Confidentiel – Ne pas diffuser", "社外秘"),
        *("（社外秘）", "秘", "㊙", "取扱注意"),
        *("ลับ", "เอกสารลับ", "TLP:AMBER"),
        *("Classification: C3", "機密区分：社外秘", "Einstufung: vertraulich"),
        *("ACME AND CO CONFIDENTIAL AND PROPRIETARY",),
        *("Persönlich / Vertraulich", "Private and confidential"),
        "Niveau de confidentialité : Confidentiel",
    ],
    "internal": [
        *("Internal use only", "Nur für internen Gebrauch", "NUR FÜR DEN INTERNEN GEBRAUCH"),
        *("Usage interne", "À usage interne uniquement"),
        *("社内限り", "ใช้ภายในองค์กรเท่านั้น", "TLP:GREEN"),
        *("☐ Public ☒ Internal ☐ Confidential",),
        "Classification: [ ] Public [x] Internal [ ] Secret",
    ],
    "public": ["Public", "Öffentlich", "公開", "TLP:CLEAR", "Classification: Public"],
}  # fmt: skip

UNMARKED = [
    "The parties keep this confidential.",
    "This e-mail may contain confidential information.",
    "Confidential: information whose loss would do harm to the company or to its customers",
    *("Confidentiality", "Not confidential"),
    *("Non-confidential", "NICHT VERTRAULICH", "Internal Audit"),
    *("Public Relations", "Acme Public Library", "Secrets"),
    *("Private Bank", "Geheimtipp", "Interne Revision"),
    *("Public | Internal | Confidential | Restricted", "☐ Public ☐ Internal ☐ Confidential"),
    *("秘書室", "秘密保持契約書"),
    *("公開買付け", "ลับคม", "Wir behandeln Ihre Daten streng vertraulich."),
    *("Les données restent confidentielles.",),
    *("本契約の内容は秘密とする。", "Chapter 3: Restricted areas"),
]  # fmt: skip


@pytest.mark.parametrize(("level", "line"), [(k, line) for k, v in MARKED.items() for line in v])
def test_a_marking_is_known_in_a_footer_and_as_a_line(level: str, line: str) -> None:
    assert level_of(EDGE, "", line, LOOKUP) == level
    if "（" not in line:  # of text in brackets only what stands in a footer is one
        assert level_of(LINE, "", line, LOOKUP) == level


@pytest.mark.parametrize("line", UNMARKED)
def test_prose_and_names_mark_nothing(line: str) -> None:
    assert level_of(LINE, "", line, LOOKUP) is None


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("MSIP label", "Highly Confidential - Project Teams", "restricted"),
        ("MSIP label", "f42aa342-8706-4288-bd11-ebb85995028c", "internal"),
        ("Classification", "Acme\\Internal", "internal"),
        ("TitusClassification", "Company Confidential", "confidential"),
        ("Sensitivity", "Company-Confidential", "confidential"),
        ("Classification", "non-confidential", None),
        ("keywords", "budget, vertraulich; 2026", "confidential"),
        ("category", "社外秘", "confidential"),
        ("keywords", "public transport, internal audit", None),
        ("subject", "AW: [Strictly Confidential] Budget", "restricted"),
        ("subject", "Confidential: the budget", "confidential"),
        ("subject", "Your confidential offer", None),
    ],
)
def test_properties(name: str, value: str, level: str | None) -> None:
    assert level_of(PROPERTY, name, value, LOOKUP) == level


@pytest.mark.parametrize(
    ("folder", "level"),
    [
        ("Vertraulich", "confidential"),
        ("03_Strictly-Confidential", "restricted"),
        ("社外秘", "confidential"),
        ("secret-santa", None),
        ("public relations", None),
    ],
)
def test_folders(folder: str, level: str | None) -> None:
    assert level_of_folder(folder, LOOKUP) == level


def test_own_words_raise_and_never_lower() -> None:
    assert lookup_with({"Confidential": "public"}).get("confidential") == "confidential"
    assert lookup_with({"Confidential": "restricted"}).get("confidential") == "restricted"


def test_words_that_may_be_about_anything_count_where_they_are_meant() -> None:
    for word, level in (
        ("C3", "confidential"),
        ("General", "internal"),
        ("Private", "confidential"),
    ):
        assert level_of(LINE, "", word, LOOKUP) is None
        assert level_of(PROPERTY, "keywords", word, LOOKUP) is None
        assert level_of_folder(word, LOOKUP) is None
        assert level_of(EDGE, "", word, LOOKUP) == level
        assert level_of(LINE, "", f"Classification: {word}", LOOKUP) == level
        assert level_of(PROPERTY, "MSIP label", word, LOOKUP) == level
    assert level_of(LINE, "", "C3", lookup_with({"C3": "restricted"})) == "restricted"


def test_no_marking_stands_for_two_levels() -> None:
    """One that is written twice in the lists would mean what stands last."""
    from stillhouse.corpus.confidentiality import words

    lists = (words.PUBLIC, words.INTERNAL, words.CONFIDENTIAL, words.RESTRICTED)
    twice = [k for k in LEVELS if sum(k in words._keys(found) for found in lists) > 1]
    assert twice == []


def texts(*lines: str) -> list[str]:
    return [mark.text for mark in marks_of([(1, list(lines))]) if mark.place == LINE]


def test_lines_are_taken_from_above_and_below_and_not_from_between() -> None:
    lines = [f"line {n}" for n in range(40)]
    above, below = FIRST_PAGE
    assert texts(*lines) == [*lines[:above], *lines[-below:]]
    others = marks_of([(1, lines), (2, [f"other {n}" for n in range(40)])])
    second = [mark.text for mark in others if mark.page == 2]
    assert second == ["other 0", "other 1", "other 2", "other 37", "other 38", "other 39"]
    many = marks_of((page, [f"{page} of many"]) for page in range(2 * MOST))
    assert len(many) == MOST


@pytest.mark.parametrize(
    "notice",
    [
        "This e-mail and any attachments are for the addressee alone.",
        "Diese E-Mail enthält vertrauliche Informationen.",
        "Ce message est destiné au seul destinataire.",
        "このメールには機密情報が含まれています。",
        "อีเมลฉบับนี้เป็นความลับ",
    ],
)
def test_a_disclaimers_heading_is_no_marking(notice: str) -> None:
    assert "CONFIDENTIAL" not in texts("Dear all,", "the pump is broken", "CONFIDENTIAL", notice)
    assert "CONFIDENTIAL" in texts("CONFIDENTIAL", "Memo to the board", "The pump is broken.")


def test_of_a_record_its_short_first_and_last_line() -> None:
    found = [mark.text for mark in marks_of_record("VERTRAULICH\n\nfirst\nsecond\n\nintern\n")]
    assert found == ["VERTRAULICH", "intern"]
    assert marks_of_record("word " * 50) == [] == marks_of_record("")
