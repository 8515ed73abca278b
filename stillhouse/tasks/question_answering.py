"""Question answering: from a passage, or from several that were found, or that there is no answer.

Pairs come from records with a question, and from documents that hold questions and answers already.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import QuestionAnsweringTask, Task
from stillhouse.lm.elsewhere import Elsewhere
from stillhouse.lm.generation import generate
from stillhouse.lm.prompts import BLANK, Encoder, Example
from stillhouse.tasks.common import Answered, Pair, Predictions, Row, Tally
from stillhouse.tasks.extraction_grammar import passage_grammar
from stillhouse.tasks.generative_report import answer_sections
from stillhouse.tasks.generative_scores import score_answers
from stillhouse.tasks.passages import Document, columns_of, documents_of, passages_of, text_in
from stillhouse.tasks.questions import SENTENCE, questions_in
from stillhouse.tasks.results import Scored
from stillhouse.tasks.retrieval import Passages, with_distractors
from stillhouse.tasks.sections import Section
from stillhouse.tasks.writing import FREE, Writing, Written, as_written, confidence, stands_in

if TYPE_CHECKING:
    from transformers import PreTrainedModel

QUESTION = "Question: "
WRITE = "For each passage, a question that it answers."
QUESTION_TOKENS, FEWEST_WORDS = 40, 3

# A passage and what is asked of it; None where nobody asked, or nobody answered.
Asked = tuple[Document, str, str | None, str | None]


class QuestionAnswering(Writing):
    """A question answering task."""

    task: QuestionAnsweringTask

    @property
    def decodings(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("grounded",) if self.task.grounded else ()

    @property
    def meaning(self) -> Any:
        return [super().meaning, self.task.no_answer]

    @staticmethod
    def pairs(task: Task, documents: Path, where: str, tally: Tally) -> Iterator[Pair]:
        assert isinstance(task, QuestionAnsweringTask)  # noqa: S101 - see `kinds`
        index = None
        if task.retrieval:
            asked = _asked(task, documents, where, Tally())
            index = Passages([passage for _, passage, _, _ in asked])
        for document, passage, question, answer in _asked(task, documents, where, tally):
            if answer is None and not (task.unlabelled == "teacher" if question else task.written):
                tally.unlabelled += 1
                continue
            if question is None:
                yield Pair(document, passage, None, asks=False)
                continue
            if answer and answer != task.no_answer:
                tally.not_in_text += not stands_in(answer, passage)
            if index is not None and task.retrieval:
                found = index.best(question, task.retrieval.passages)
                tally.retrieved += passage in found
                tally.searched += 1
                passages = with_distractors(passage, found, task.retrieval.passages, question)
                passage = "\n\n".join(passages)
            yield Pair(document, posed(question, passage), answer)

    @staticmethod
    def corrected(task: Task, said: str, labels: Container[str]) -> tuple[str, str | None]:
        assert isinstance(task, QuestionAnsweringTask)  # noqa: S101 - see `kinds`
        answer, label = Writing.corrected(task, said, labels)
        return task.no_answer if says_none(answer, task) else answer, label

    def write(
        self,
        model: PreTrainedModel | Elsewhere,
        encoder: Encoder,
        passages: Sequence[Row],
        shots: Sequence[Row],
    ) -> list[str]:
        """Questions to passages, in the manner of the gold ones, each with its passage."""
        examples = [taken_apart(row["input"]) for row in shots]
        room = encoder.max_tokens
        asked = [("", encoder.beginning(row["input"], room)) for row in passages]
        prompts = encoder.texts([_asking([*examples, one]) for one in asked])
        asking = f"Asking questions, {self.task.name}"
        if isinstance(model, Elsewhere):
            passages_asked = [
                Example(row["pair_id"], [*ids, BLANK], len(ids))
                for row, ids in zip(passages, prompts, strict=True)
            ]
            found = model.write(
                encoder, passages_asked, [],
                end_id=encoder.end_id, max_new_tokens=QUESTION_TOKENS, description=asking,
            )  # fmt: skip
        else:
            found = generate(
                model, prompts,
                end_ids=[encoder.end_id], max_new_tokens=QUESTION_TOKENS,
                vocabulary=len(encoder.tokenizer), barred=encoder.unwritten, description=asking,
            )  # fmt: skip
        questions = [question_in(encoder.text_of(g.ids)) for g in found]
        return [
            posed(question, row["input"]) if question else ""
            for question, row in zip(questions, passages, strict=True)
        ]

    @staticmethod
    def posed(asked: str | Mapping[str, Any]) -> str | None:
        if isinstance(asked, str):
            return asked if asked.startswith(QUESTION) and all(taken_apart(asked)) else None
        question, passage = asked.get("question"), asked.get("passage")
        return posed(question, passage) if question and passage else None

    def answers(
        self, inputs: Sequence[str], predictions: Predictions, calibration: Any = None
    ) -> list[Answered]:
        found = []
        for text, prediction in zip(inputs, predictions, strict=True):
            written = Written.of(prediction)
            # What it said freely: pieces of the passage would all look grounded.
            freely = written.as_decoded(FREE)
            refused = None
            if not text:
                refused = "no question was found"
            elif not freely or not written.ended:
                refused = "no answer was finished"
            elif not says_none(freely, self.task) and not stands_in(freely, taken_apart(text)[1]):
                refused = "not in the passage"
            sure = confidence(written.log_prob, (calibration or {}).get("answer"))
            found.append(Answered(written.text, None, sure, refused))
        return found

    def calibrate(self, gold: Sequence[str], predictions: Predictions) -> Any:
        from stillhouse.metrics.calibration import fit_platt

        written = [Written.of(prediction) for prediction in predictions]
        right = self.score(gold, predictions).right
        return {"answer": fit_platt([w.log_prob for w in written], right)}

    def score(
        self, gold: Sequence[str], predictions: Predictions, calibration: Any = None
    ) -> Scored:
        written = [Written.of(prediction) for prediction in predictions]
        known = (calibration or {}).get("answer")
        return score_answers(
            [self._unless_none(answer) for answer in gold],
            [self._unless_none(w.text) for w in written],
            confidence=[confidence(w.log_prob, known) for w in written],
            decodings={
                decoding: [self._unless_none(w.as_decoded(decoding)) for w in written]
                for decoding in (FREE, *self.decodings)
            }
            if self.decodings
            else None,
        )

    def _unless_none(self, answer: str) -> str:
        """Empty where it says that there is no answer."""
        return "" if says_none(answer, self.task) else answer

    def sections(self, results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
        return answer_sections(results, texts)

    def chance(self, gold: Sequence[str]) -> float:
        """The score of saying always that there is no answer."""
        return sum(answer == self.task.no_answer for answer in gold) / len(gold)

    def baseline(self, training: Sequence[Row], rows: Sequence[Row]) -> tuple[str, Predictions]:  # noqa: ARG002
        answers = [best_sentence(*taken_apart(row["input"])) for row in rows]
        return "the best-matching sentence", [as_written(answer) for answer in answers]

    def grammar(self, text: str, decoding: str) -> str:  # noqa: ARG002 - there is one
        return passage_grammar(taken_apart(text)[1], self.task.no_answer)


def says_none(answer: str, task: QuestionAnsweringTask) -> bool:
    """Whether a gold or a model's answer says that there is none: in so many words, or in none."""
    said = answer.strip().casefold()
    return not said or said == task.no_answer.casefold()


def posed(question: str, passage: str) -> str:
    """A question first: of a passage that is too long, only the end is lost."""
    return f"{QUESTION}{' '.join(question.split())}\n\n{passage}"


def taken_apart(text: str) -> tuple[str, str]:
    """The question and the passage of a pair's input."""
    question, _, passage = text.partition("\n\n")
    return question.removeprefix(QUESTION), passage


def best_sentence(question: str, passage: str) -> str:
    """The sentence of a passage that shares most with a question, by BM25."""
    sentences = [s for p in passage.split("\n") for s in SENTENCE.split(p) if s.strip()]
    return next((s.strip() for s in Passages(sentences).best(question, 1)), "")


def question_in(text: str) -> str:
    """The question that a teacher wrote; empty where it is none."""
    question = text.strip().split("\n")[0].strip()
    ends = question.find("?")
    question = question[: ends + 1]
    return question if len(question.split()) >= FEWEST_WORDS else ""


def _asking(examples: Sequence[tuple[str, str]]) -> str:
    """A prompt of passages and their questions; the last one is missing."""
    blocks = [f"{passage}\n\n{QUESTION}{question}" for question, passage in examples]
    return "\n\n\n".join([WRITE, *blocks]).rstrip()


def _asked(
    task: QuestionAnsweringTask, documents: Path, where: str, tally: Tally
) -> Iterator[Asked]:
    """All that is asked; records with a column that is no text are counted as unfit."""
    for document in documents_of(documents, where):
        if document["kind"] == "records":
            columns = columns_of(document)
            try:
                passage, question, answer = (
                    text_in(columns, name) for name in (task.passage, task.question, task.answers)
                )
            except ValueError as error:
                tally.unfit[f"{task.name}: {error}"] += 1
                continue
            if answer is not None and says_none(answer, task):
                answer = task.no_answer
            yield document, passage or document["text"], question or None, answer
            continue
        found = list(
            questions_in(
                document["text"], document["title"] or "", task.questions_from, task.passage_words
            )
        )
        step = max(1, len(found) / task.max_passages)
        taken = [found[int(i * step)] for i in range(min(len(found), task.max_passages))]
        for asked in taken:
            yield document, asked.passage, asked.question, asked.answer
        if not taken:
            for passage in passages_of(document, task)[0]:
                yield document, passage, None, None
