"""Extraction: the fields of a schema, written out as compact JSON.

Gold answers are columns of records. Fields that must stand in the text are decoded as pieces of it.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import AnswerField, ExtractionTask, Task
from stillhouse.metrics.extraction import extraction_metrics
from stillhouse.tasks.common import Answered, Pair, Predictions, Row, Tally
from stillhouse.tasks.extraction_grammar import canonical, compact, grammar_of, parsed
from stillhouse.tasks.extraction_scores import baseline, calibrated, majority
from stillhouse.tasks.generative_report import extraction_sections
from stillhouse.tasks.generative_scores import score_extraction
from stillhouse.tasks.numerals import numbers_in
from stillhouse.tasks.passages import Document, columns_of, documents_of, passages_of
from stillhouse.tasks.results import Scored
from stillhouse.tasks.sections import Section
from stillhouse.tasks.writing import FREE, Writing, Written, confidence, stands_in

Values = Mapping[str, Any]


class Extraction(Writing):
    """An extraction task. Answers are decoded freely, by the schema, and by the schema with
    grounded fields as pieces of the text: the last form is what is used."""

    task: ExtractionTask
    decodings = ("schema", "grounded")

    @staticmethod
    def pairs(task: Task, documents: Path, where: str, tally: Tally) -> Iterator[Pair]:
        assert isinstance(task, ExtractionTask)  # noqa: S101 - see `kinds`
        for document in documents_of(documents, where):
            try:
                values = gold_values(task, document)
                response = None if values is None else canonical(values, task.fields)
            except ValueError as error:
                # Its words name columns and fields, never values.
                tally.unfit[f"{task.name}: {error}"] += 1
                continue
            if response is not None:
                tally.not_in_text += _missing(task, json.loads(response), document["text"])
            elif task.unlabelled != "teacher":
                tally.unlabelled += 1
                continue
            passages, skipped = passages_of(document, task)
            tally.passages_left_out += skipped
            for passage in passages:
                yield Pair(document, passage, response)

    @staticmethod
    def corrected(task: Task, said: str, labels: Container[str]) -> tuple[str, str | None]:  # noqa: ARG004 - there are none
        assert isinstance(task, ExtractionTask)  # noqa: S101 - see `kinds`
        try:
            values = json.loads(said)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise ValueError("no JSON object")
        return canonical(values, task.fields), None

    @property
    def meaning(self) -> Any:
        fields = [[n, f.model_dump(mode="json")] for n, f in self.task.fields.items()]
        return [super().meaning, fields]

    def guide(self) -> str:
        lines = [f"- {name}: {_described(field)}" for name, field in self.task.fields.items()]
        return "\n".join(["Answer with one JSON object of these fields:", *lines])

    @property
    def undescribed(self) -> list[str]:
        return [name for name, field in self.task.fields.items() if not field.description]

    def grammar(self, text: str, decoding: str) -> str:
        return grammar_of(self.task.fields, text if decoding == "grounded" else None)

    def answers(
        self, inputs: Sequence[str], predictions: Predictions, calibration: Any = None
    ) -> list[Answered]:
        known = calibration or {"answer": None, "fields": None}
        found = []
        for text, prediction in zip(inputs, predictions, strict=True):
            written = Written.of(prediction)
            # What it said freely: under constraints, any answer looks like one from the text.
            freely = parsed(written.as_decoded(FREE), self.task.fields)
            refused = None
            if freely is None:
                refused = "no answer of this schema"
            elif _missing(self.task, freely, text):
                refused = "not in the text"
            found.append(
                Answered(
                    written.text,
                    None,
                    confidence(written.log_prob, known["answer"]),
                    refused,
                    parsed(written.text, self.task.fields),
                    {n: confidence(p, known["fields"]) for n, p in written.parts.items()},
                )
            )
        return found

    def calibrate(self, gold: Sequence[str], predictions: Predictions) -> Any:
        return calibrated(self.task.fields, gold, predictions)

    def score(
        self, gold: Sequence[str], predictions: Predictions, calibration: Any = None
    ) -> Scored:
        known = calibration or {"answer": None, "fields": None}
        fields = self.task.fields
        written = [Written.of(prediction) for prediction in predictions]
        return score_extraction(
            [json.loads(answer) for answer in gold],
            [parsed(w.text, fields) for w in written],
            fields=fields,
            confidence=[confidence(w.log_prob, known["answer"]) for w in written],
            field_confidence=[
                {name: confidence(p, known["fields"]) for name, p in w.parts.items()}
                for w in written
            ],
            decodings={
                decoding: [parsed(w.as_decoded(decoding), fields) for w in written]
                for decoding in (FREE, *self.decodings)
            },
        )

    def sections(self, results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
        return extraction_sections(results, texts)

    def chance(self, gold: Sequence[str]) -> float:
        """The score of each field's most common value."""
        golds = [json.loads(answer) for answer in gold]
        return extraction_metrics(golds, [majority(golds)] * len(golds)).field_f1

    def baseline(self, training: Sequence[Row], rows: Sequence[Row]) -> tuple[str, Predictions]:
        return baseline(training, rows)

    def parts_of(self, text: str) -> dict[str, tuple[int, int]]:
        """Where each field's value stands in compact JSON; in no other."""
        if parsed(text, self.task.fields) is None:
            return {}
        values, found, at = json.loads(text), {}, 1
        for name, value in values.items():
            key = len(compact(name)) + 1
            found[name] = (at + key, at + key + len(compact(value)))
            at = found[name][1] + 1
        if text != compact(values):
            return {}
        return found


def gold_values(task: ExtractionTask, document: Document) -> Values | None:
    """What a record's columns say of the fields; None where they say nothing.

    A column with a JSON object holds several fields, another one is the field of its name. Raises
    `ValueError` that names the column, and no value, where it is neither.
    """
    columns = columns_of(document)
    found: dict[str, Any] = {}
    for name in task.columns:
        value = columns.get(name)
        if isinstance(value, Mapping):
            found |= value
        elif value is not None and name not in task.fields:
            # Not read as JSON here: other keys than the fields were never taken out of it.
            raise ValueError(f"{name!r}: no JSON object")
        elif value is not None:
            found[name] = value
    # An object without a field is an answer where every field may be left out.
    known = any(name in columns for name in task.columns)
    may_be_empty = all(field.optional for field in task.fields.values())
    return found if found or (known and may_be_empty) else None


def _missing(task: ExtractionTask, values: Values, text: str) -> bool:
    """Whether a value that was to stand in the text doesn't."""
    grounded = {n: v for n, v in values.items() if task.fields[n].is_grounded}
    items = [i for v in grounded.values() for i in (v if isinstance(v, list) else [v])]
    numbers = numbers_in(text) if any(not isinstance(i, str) for i in items) else []
    return any(not (stands_in(i, text) if isinstance(i, str) else i in numbers) for i in items)


def _described(field: AnswerField) -> str:
    what = f"one of {', '.join(field.values)}" if field.values else field.type
    if field.many:
        what = f"{what}, or a list of them"
    more = [field.description, "left out where the text has none" if field.optional else ""]
    return "; ".join([what, *filter(None, more)])
