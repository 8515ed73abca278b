"""A function that finds as a recognizer among Presidio's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.pii.spans import Finding

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

# Presidio asks every recognizer for a language. Ours run on every text whatever its language.
LANGUAGE = "en"


def recognizer_of(
    name: str, kinds: Iterable[str], find: Callable[[str], Iterable[Finding]]
) -> EntityRecognizer:
    """A recognizer of those `kinds` of what `find` sees in a text."""
    from presidio_analyzer import EntityRecognizer

    class FunctionRecognizer(EntityRecognizer):  # type: ignore[misc]
        def load(self) -> None:
            """There is nothing to load."""

        def analyze(self, text: str, entities: list[str], **_: Any) -> list[Any]:
            return results(name, (f for f in find(text) if f.kind in entities))

    return FunctionRecognizer(list(kinds), supported_language=LANGUAGE, name=f"stillhouse {name}")


def results(name: str, findings: Iterable[Finding]) -> list[Any]:
    """Findings as Presidio's results."""
    from presidio_analyzer import AnalysisExplanation, RecognizerResult

    return [
        RecognizerResult(f.kind, f.start, f.end, f.score, AnalysisExplanation(name, f.score))
        for f in findings
    ]
