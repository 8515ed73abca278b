from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from stillhouse.corpus.nlp import pipeline
from stillhouse.corpus.pii.at_once import NAME, use_at_once
from stillhouse.corpus.pii.detect import Detector
from stillhouse.corpus.pii.settings import MaskSettings

MODEL = MaskSettings().nlp_model
TEXTS = [
    "Hi Sarah, John Smith of Acme Holdings Ltd. in New York says invoice 2024-118 is open.",
    "On Tuesday, the 4th of March 2025, the Federal Reserve Bank of San Francisco paid $20 million "
    "to Dr. Angela Maria Ruiz and to the University of California, Los Angeles.",
    "",
    "\n\n",
    "Berlin",
    "Call John",
    "Anna Schmidt\nBerlin\n\nBest wishes,\n\tPeter  O'Neill   Jr.\n",
    "ring 山田太郎 or Σμαράγδα Χονδρούδη, Łukasz Żółć and José Ortega y Gasset in São Paulo",
    "two weeks ago between 5pm and half past six, about 30 % of the United Nations' 193 members",
    "THE UNITED STATES OF AMERICA AND JOHN F. KENNEDY",
]


@pytest.fixture(scope="module")
def spacys_own() -> Any:
    return pipeline.__wrapped__(MODEL, "ner")


def _entities(nlp: Any, texts: Iterable[str]) -> list[list[tuple[int, int, str]]]:
    return [[(e.start, e.end, e.label_) for e in doc.ents] for doc in nlp.pipe(texts)]


def test_the_names_are_spacys_own(spacys_own: Any) -> None:
    ours = pipeline.__wrapped__(MODEL, "ner")
    use_at_once(ours)
    assert NAME in ours.pipe_names and "ner" not in ours.pipe_names
    expected = _entities(spacys_own, TEXTS)
    assert {label for found in expected for *_, label in found} >= {"PERSON", "ORG", "GPE", "DATE"}
    assert any(end - start > 3 for found in expected for start, end, _ in found)
    assert _entities(ours, TEXTS) == expected
    # ... wherever texts are cut, and in whatever company.
    pieces = [text[at : at + 40] for text in TEXTS for at in range(0, len(text), 7)]
    assert _entities(ours, pieces) == _entities(spacys_own, pieces)
    assert [_entities(ours, [text])[0] for text in TEXTS] == expected


def test_a_pipeline_that_knows_names_otherwise_is_left_as_it_is(spacys_own: Any) -> None:
    spacys_own.add_pipe("entity_ruler")
    use_at_once(spacys_own)
    assert spacys_own.pipe_names == ["ner", "entity_ruler"]
    spacys_own.remove_pipe("entity_ruler")


def test_a_text_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Detector(MaskSettings())
    read: list[str] = []
    analyze = detector._engine.analyze

    def counted(text: str, *args: Any, **how: Any) -> Any:
        read.append(text)
        return analyze(text, *args, **how)

    monkeypatch.setattr(detector._engine, "analyze", counted)
    texts = ["Hi Sarah, it works.", "The press leaks.", "Hi Sarah, it works."]
    first = list(detector.find(texts))
    assert first[0] and first[0] == first[2] and read == texts[:2]
    assert list(detector.find([*texts, "Ask Tom Baker."]))[:3] == first
    assert read == [*texts[:2], "Ask Tom Baker."]
    monkeypatch.setattr("stillhouse.corpus.pii.detect.REMEMBERED", 1)
    list(detector.find(["Ask Tom Baker again."]))
    assert list(detector.find(texts)) == first  # what was forgotten is read anew
    assert read[-2:] == texts[:2]
