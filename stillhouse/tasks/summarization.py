"""Summarization: a sentence for a text.

Pairs come from records with a column of summaries, and from documents: the abstract where one is
marked, else the title, from the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import SummarizationTask, Task
from stillhouse.metrics.text import rouge_l
from stillhouse.tasks.common import Answered, Pair, Predictions, Row, Tally
from stillhouse.tasks.generative_report import summary_sections
from stillhouse.tasks.generative_scores import score_summaries
from stillhouse.tasks.passages import Document, columns_of, documents_of, text_in
from stillhouse.tasks.questions import SENTENCE
from stillhouse.tasks.results import Scored
from stillhouse.tasks.sections import Section
from stillhouse.tasks.writing import Writing, Written, as_written, confidence

ABSTRACTS = ("abstract", "summary", "zusammenfassung", "résumé")


MOST_COMPARED = 50


class Summarization(Writing):
    """A summarization task."""

    task: SummarizationTask
    calibrates = False

    @staticmethod
    def pairs(task: Task, documents: Path, where: str, tally: Tally) -> Iterator[Pair]:
        assert isinstance(task, SummarizationTask)  # noqa: S101 - see `kinds`
        for document in documents_of(documents, where):
            try:
                summary, body = _summary(task, document)
            except ValueError as error:
                # Its words name columns, never values.
                tally.unfit[f"{task.name}: {error}"] += 1
                continue
            words = body.split()
            if not words:
                tally.unlabelled += 1
                continue
            if len(words) > task.passage_words:
                tally.passages_left_out += 1
                body = " ".join(words[: task.passage_words])
            if summary is None and task.unlabelled != "teacher" and not task.written:
                tally.unlabelled += 1
                continue
            asks = summary is not None or task.unlabelled == "teacher"
            yield Pair(document, body, summary, asks=asks)

    def answers(
        self,
        inputs: Sequence[str],
        predictions: Predictions,
        calibration: Any = None,  # noqa: ARG002 - nothing says whether a summary is right
    ) -> list[Answered]:
        found = []
        for text, prediction in zip(inputs, predictions, strict=True):
            written = Written.of(prediction)
            refused = None
            if not written.text or not written.ended:
                refused = "no summary was finished"
            elif any(said not in text.casefold() for said in names_and_numbers(written.text)):
                refused = "names or numbers that the text lacks"
            found.append(Answered(written.text, None, confidence(written.log_prob, None), refused))
        return found

    def calibrate(self, gold: Sequence[str], predictions: Predictions) -> Any:  # noqa: ARG002
        return None

    def score(
        self,
        gold: Sequence[str],
        predictions: Predictions,
        calibration: Any = None,  # noqa: ARG002 - nothing says whether a summary is right
    ) -> Scored:
        return score_summaries(gold, [Written.of(p).text for p in predictions])

    def sections(self, results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
        return summary_sections(results, texts)

    def chance(self, gold: Sequence[str]) -> float:
        """The score of the summary that is most like the others, for every text."""
        few = list(gold)[:MOST_COMPARED]
        return max(sum(rouge_l(said, g) for g in few) / len(few) for said in few)

    def baseline(self, training: Sequence[Row], rows: Sequence[Row]) -> tuple[str, Predictions]:  # noqa: ARG002
        sentences = [SENTENCE.split(" ".join(row["input"].split()), 1)[0] for row in rows]
        return "the first sentence", [as_written(sentence) for sentence in sentences]


def names_and_numbers(text: str) -> set[str]:
    """What a summary may only say if its text does: numbers, and words in capitals that begin no
    sentence."""
    numbers = {found.rstrip(".,:") for found in re.findall(r"\d[\d.,:]*", text)}
    words = re.findall(r"(?<![.!?:\"'])\s([A-Z]\w+)", text)
    return numbers | {word.casefold() for word in words}


def _summary(task: SummarizationTask, document: Document) -> tuple[str | None, str]:
    """The gold summary, None where there is none, and the text that it sums up."""
    text = document["text"]
    if document["kind"] == "records":
        return text_in(columns_of(document), task.answers) or None, text
    paragraphs = text.split("\n\n")
    title = " ".join((document["title"] or "").split())
    if paragraphs and " ".join(paragraphs[0].split()) == title:
        paragraphs = paragraphs[1:]
    for place, paragraph in enumerate(paragraphs[:-1]):
        if paragraph.strip().rstrip(":").casefold() in ABSTRACTS:
            rest = paragraphs[:place] + paragraphs[place + 2 :]
            return paragraphs[place + 1], "\n\n".join(rest)
    return title or None, "\n\n".join(paragraphs)
