"""What kinds of task share whose answers are written out, token by token.

An answer is decoded freely, and under each of the kind's constraints: a grammar must not hide what
was not learned. Greedy decoding under a constraint gives the free answer wherever that already
meets it, so a second one goes on only from where a free answer breaks it, and a model that has
learned its task pays next to nothing for it.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from stillhouse.config.dataset import GenerativeTask, Task
from stillhouse.lm.chat import Asked
from stillhouse.lm.elsewhere import Elsewhere
from stillhouse.lm.generation import Generated, generate, generate_each
from stillhouse.lm.grammar import Constraint, Grammars
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.lm.scoring import Embeddings
from stillhouse.metrics.calibration import apply_platt
from stillhouse.tasks.common import Examples, OfOneText, Predictions, Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FREE = "free"
NO_DATASET = Path()


@dataclass(frozen=True)
class Written:
    """One answer. `text` is that of the last decoding, `by_decoding` has those before it where they
    differ; `log_prob` is the mean log-probability of its tokens, `parts` that of each part which
    the kind tells apart. An answer that had not `ended` at its greatest length is cut off there."""

    text: str
    log_prob: float
    ended: bool
    by_decoding: dict[str, str] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)

    def as_decoded(self, decoding: str) -> str:
        return self.by_decoding.get(decoding, self.text)

    @staticmethod
    def of(prediction: Mapping[str, Any]) -> Written:
        return Written(**prediction)


class Writing(OfOneText):
    """The shared part of a kind; `decodings` are its constraints, the one that is used last."""

    countable = False
    calibrates = True
    decodings: tuple[str, ...] = ()
    options: Sequence[str] = ()

    def __init__(self, task: Task, dataset: Path) -> None:
        assert isinstance(task, GenerativeTask)  # noqa: S101 - see `kinds`
        self.task: Any = task
        self.dataset = dataset
        self.answer_tokens: dict[str, str] = {}

    @classmethod
    def learned(cls, task: Task, tokenizer: PreTrainedTokenizerBase) -> Self:  # noqa: ARG003
        return cls(task, NO_DATASET)

    @staticmethod
    def corrected(task: Task, said: str, labels: Container[str]) -> tuple[str, str | None]:  # noqa: ARG004 - its answers have none
        """An answer in words, as it is."""
        if not said.strip():
            raise ValueError("nothing but white space")
        return said.strip(), None

    @property
    def meaning(self) -> Any:
        return [self.task.max_answer_tokens, list(self.decodings)]

    def grammar(self, text: str, decoding: str) -> str:
        """What an answer to `text` must look like under a decoding, in llguidance's Lark syntax."""
        raise NotImplementedError

    def guide(self) -> str:
        """What a teacher is told of the task beside its instruction."""
        return ""

    @property
    def undescribed(self) -> list[str]:
        return []

    def shown(self, row: Row) -> str:
        return row["response"]

    def longest_answer(self, encoder: Encoder) -> int:  # noqa: ARG002 - the project file says it
        return self.task.max_answer_tokens

    def predict(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        asked: Examples,
        *,
        embeddings: Embeddings | None = None,  # noqa: ARG002 - for kinds that read one position
        thorough: bool = True,
    ) -> Predictions:
        """Answers as `Written`, in JSON. Not `thorough`, they are decoded freely alone."""
        return self._answers(
            model,
            encoder,
            asked.examples,
            asked.inputs,
            end_id=encoder.end_id,
            vocabulary=len(encoder.tokenizer),
            barred=encoder.unwritten,
            thorough=thorough,
        )

    def _answers(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        examples: Sequence[Example],
        inputs: Sequence[str],
        *,
        end_id: int,
        vocabulary: int,
        thorough: bool,
        barred: Sequence[int] = (),
    ) -> Predictions:
        prompts = [e.ids[: e.response_start] for e in examples]
        how: dict[str, Any] = {
            "end_ids": [end_id],
            "max_new_tokens": self.task.max_answer_tokens,
            "vocabulary": vocabulary,
            "barred": barred,
        }
        how["description"] = f"Answering {self.task.name}"
        decodings = self.decodings if thorough else ()
        if decodings:
            grammars = Grammars(encoder.tokenizer, vocabulary, [end_id])
            constraints = [partial(self._constraint, grammars, inputs, d) for d in decodings]
            *others, found = generate_each(model, prompts, constraints, **how)
        else:
            others, found = [], generate(model, prompts, **how)
        texts = [
            {
                decoding: encoder.text_of(generated.ids)
                for decoding, generated in zip((FREE, *decodings), of_input, strict=False)
            }
            for of_input in (zip(*others, strict=True) if others else [()] * len(found))
        ]
        return [
            asdict(self._written(encoder, generated, before))
            for generated, before in zip(found, texts, strict=True)
        ]

    def _constraint(
        self, grammars: Grammars, inputs: Sequence[str], decoding: str, place: int
    ) -> Constraint:
        return grammars.compile(self.grammar(inputs[place], decoding))

    def predict_untrained(
        self, model: PreTrainedModel | Elsewhere, asked: Asked, inputs: Sequence[str]
    ) -> Predictions:
        """As others answer: only their prompts are longer, and answers end as the form has it.

        A model that runs elsewhere knows no constraint of ours: it answers freely alone.
        """
        if isinstance(model, Elsewhere):
            encoder = asked.form.encoder
            found = model.write(
                encoder, asked.examples, asked.said,
                end_id=asked.form.end_id, max_new_tokens=self.task.max_answer_tokens,
                description=f"Answering {self.task.name}",
            )  # fmt: skip
            return [asdict(self._written(encoder, generated, {})) for generated in found]
        return self._answers(
            model,
            asked.form.encoder,
            asked.examples,
            inputs,
            end_id=asked.form.end_id,
            vocabulary=asked.vocabulary,
            thorough=True,
        )

    def _written(self, encoder: Encoder, found: Generated, before: dict[str, str]) -> Written:
        text = encoder.text_of(found.ids)
        mean = sum(found.log_probs) / max(1, len(found.log_probs))
        spans = self.parts_of(text)
        parts = part_log_probs(encoder, found, spans) if spans else {}
        # What no other decoding changed is said once.
        others = {name: said for name, said in before.items() if said != text}
        return Written(text, mean, found.ended, others, parts)

    def parts_of(self, text: str) -> dict[str, tuple[int, int]]:  # noqa: ARG002
        """Where in an answer its parts stand that have a confidence of their own."""
        return {}


def part_log_probs(
    encoder: Encoder, found: Generated, spans: Mapping[str, tuple[int, int]]
) -> dict[str, float]:
    """The mean log-probability of the tokens that each span of characters touches."""
    sums: dict[str, list[float]] = {name: [] for name in spans}
    for (start, end), log_prob in zip(encoder.places(found.ids), found.log_probs, strict=False):
        for name, (first, last) in spans.items():
            if start < last and end > first:
                sums[name].append(log_prob)
    return {name: sum(v) / len(v) for name, v in sums.items() if v}


def as_written(text: str) -> dict[str, Any]:
    """An answer that no model wrote, as one; nothing says how sure it is."""
    return asdict(Written(text, math.nan, True))


def stands_in(answer: str, text: str) -> bool:
    """Whether a text holds an answer, case and spacing aside."""
    return " ".join(answer.split()).casefold() in " ".join(text.split()).casefold()


def confidence(log_prob: float, calibration: Sequence[float] | None) -> float:
    """The probability that an answer is right: its length-normalised likelihood, or what was
    learned of that on validation (see `metrics.calibration.fit_platt`)."""
    if calibration is None:
        return math.exp(log_prob)
    return float(apply_platt([log_prob], calibration)[0])
