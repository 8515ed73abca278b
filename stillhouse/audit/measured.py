"""Everything that one model is put through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.audit.attacks import Attack
from stillhouse.audit.continuation import Begun, begun, goes_on, some
from stillhouse.audit.exposure import Exposed, exposures
from stillhouse.audit.generations import write, write_freely
from stillhouse.audit.membership import Read
from stillhouse.audit.scores import score_tokens
from stillhouse.audit.texts import readings
from stillhouse.config.audit import LeakAudit
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_model, load_tokenizer, pick_device, pick_dtype
from stillhouse.student.canaries import Canary
from stillhouse.tasks.common import Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Tried:
    """What models are tried on: pairs that the student learned from and pairs that nobody did, by
    task; its canaries; the tokens that are answers of their own; what it is asked."""

    members: dict[str, list[Row]]
    others: dict[str, list[Row]]
    canaries: list[Canary]
    answer_tokens: list[str]
    instructions: list[str]
    attacks: list[Attack]


@dataclass(frozen=True)
class Measured:
    """What a model did. `read` has members and others by task, `went_on` says of each of `begun`
    of members and of others whether the model went on as the text did; `answers` are those to the
    attack prompts, by the attacks' names."""

    read: tuple[dict[str, list[Read]], dict[str, list[Read]]]
    exposed: list[Exposed]
    begun: tuple[list[Begun], list[Begun]]
    went_on: tuple[list[bool], list[bool]]
    written: list[str]
    answers: list[tuple[str, str]]


def measure(
    folder: Path,
    tried: Tried,
    settings: LeakAudit,
    *,
    max_tokens: int,
    control: bool = False,
) -> Measured:
    """Put the model in `folder` through all of it.

    A control writes a third of the free texts, and answers no attack.
    """
    device = pick_device()
    encoder = Encoder(load_tokenizer(folder), max_tokens)
    model = load_model(folder, device, pick_dtype(device))
    sides = (tried.members, tried.others)
    texts = [
        begun(encoder, [row for rows in side.values() for row in rows], max_tokens=max_tokens)
        for side in sides
    ]
    # As many as of one task: there may be a text and an answer of each pair.
    texts = [some(side, settings.texts, settings.seed) for side in texts]
    went_on = [goes_on(model, encoder, side) for side in texts]
    free = settings.generations if not control else -(-settings.generations // 3)
    read = [{task: _read(model, encoder, rows) for task, rows in side.items()} for side in sides]
    return Measured(
        read=(read[0], read[1]),
        exposed=exposures(
            model, encoder, tried.canaries, candidates=settings.candidates, seed=settings.seed
        ),
        begun=(texts[0], texts[1]),
        went_on=(went_on[0], went_on[1]),
        written=write_freely(
            model, encoder, tried.instructions,
            barred=_barred(encoder, tried), count=free, tokens=settings.tokens, seed=settings.seed,
        ),
        answers=[] if control else _answers(model, encoder, tried, settings),
    )  # fmt: skip


def _barred(encoder: Encoder, tried: Tried) -> list[int]:
    return list(encoder.tokenizer.convert_tokens_to_ids(tried.answer_tokens))


def _read(model: PreTrainedModel, encoder: Encoder, rows: Sequence[Row]) -> list[Read]:
    examples = readings(encoder, rows)
    scored = score_tokens(
        model,
        [example for example, _ in examples],
        pad_id=encoder.tokenizer.pad_token_id,
        vocabulary=len(encoder.tokenizer),
        description="Reading texts",
    )
    return [
        Read(said.part(0, answer), said.part(answer))
        for said, (_, answer) in zip(scored, examples, strict=True)
    ]


def _answers(
    model: PreTrainedModel, encoder: Encoder, tried: Tried, settings: LeakAudit
) -> list[tuple[str, str]]:
    """Each prompt's likeliest answer, and others at temperature 1."""
    asked = [(a.name, text) for a in tried.attacks for text in a.prompts(tried.instructions)]
    prompts = [ids[-encoder.max_tokens :] for ids in encoder.texts([text for _, text in asked])]
    found = []
    for temperature, times in ((0.0, 1), (1.0, settings.answers - 1)):
        answers = write(
            model, encoder, prompts * times, barred=_barred(encoder, tried),
            tokens=settings.tokens, temperature=temperature, seed=settings.seed,
            description="Attack prompts",
        )  # fmt: skip
        found += list(zip([name for name, _ in asked] * times, answers, strict=True))
    return found
