"""A teacher that nobody adapts: its weights as they came, asked in words.

The usual case of a teacher too large to train. What it knows of a task, it knows from its prompt.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.base import settings_of
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.endpoint.client import Access
from stillhouse.endpoint.importing import write_endpoint
from stillhouse.endpoint.remote import Remote, open_model
from stillhouse.facts import AdaptedTeacherFacts
from stillhouse.lm.prompts import Encoder
from stillhouse.lm.tokens import add_tokens
from stillhouse.models.importing import describe
from stillhouse.models.loading import context_length, load_tokenizer, stored_dtype
from stillhouse.storage.files import digest
from stillhouse.tasks.common import Kind, Row, gold_of, rows_of
from stillhouse.tasks.models import InWords, mark_untrained, mean_figures, mean_score
from stillhouse.tasks.prompting import Prompter
from stillhouse.tasks.results import Scored

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger("stillhouse")

MOST_NAMED = 12  # in a line of the log


def leave_as_it_came(
    weights: Path,
    target: Path,
    dataset: Path,
    kinds: Sequence[Kind],
    prompt: TeacherPrompt,
    access: Access | None = None,
) -> AdaptedTeacherFacts:
    """Fill `target` with the teacher in `weights` and answer tokens, of which it knows nothing, and
    measure how well it answers on validation when it is asked by `prompt`. Of one that a server
    runs, which is reached by `access`, there is the tokenizer alone.

    Raises `UserError` as `Prompter` does, before the model is read; and as `Remote` does.
    """
    tokenizer = load_tokenizer(weights)
    encoder, context = Encoder(tokenizer, prompt.max_tokens), context_length(weights)
    vocabulary = len(tokenizer)
    prompters, zero_shot = (
        [Prompter(encoder, how, kind, dataset, context, vocabulary) for kind in kinds]
        for how in (prompt, prompt.without_shots())
    )
    for kind in kinds:
        _warn_undescribed(kind)
    model = open_model(weights, access)
    scored = [_score(model, p) for p in prompters]
    scores = mean_figures(scored)
    if prompt.shots:
        without = mean_figures([_score(model, p) for p in zero_shot])
        scores |= {f"zero_shot_{name}": value for name, value in without.items()}
    for prompter in prompters:
        prompter.warn()
        if isinstance(model, Remote):
            tokenizer.add_tokens(list(prompter.kind.answer_tokens))
        else:
            add_tokens(model, tokenizer, prompter.kind.answer_tokens)
    how = InWords(prompt, vocabulary, {p.kind.task.name: p.fingerprint for p in prompters})
    mark_untrained(target, how)
    if isinstance(model, Remote):
        info = write_endpoint(target, model.served, tokenizer)
    else:
        model.to(stored_dtype(weights)).save_pretrained(target)
        tokenizer.save_pretrained(target)
        info = describe(target)
    prompts = sum(p.tally.prompts for p in prompters)
    return AdaptedTeacherFacts(
        # What it answers depends on how it is asked as much as on its weights.
        digest=digest(info.fingerprint, settings_of(how.prompt), how.vocabulary, how.asked),
        method="none",
        parameters=info.parameters,
        bytes=info.bytes,
        score=mean_score(scored),
        chance=sum(p.kind.chance(_gold(p)) for p in prompters) / len(prompters),
        scores=scores,
        by_task={k.task.name: found.score for k, found in zip(kinds, scored, strict=True)},
        best_epoch=0,
        stopped_early=False,
        history=[],
        shots=sum(p.tally.shots for p in prompters) / prompts,
        prompt_tokens=sum(p.tally.tokens for p in prompters) / prompts,
        undescribed=sum(len(kind.undescribed) for kind in kinds),
    )


def _validation(prompter: Prompter) -> list[Row]:
    batches = rows_of(prompter.dataset, prompter.kind.task.name, "validation")
    return [row for rows in batches for row in rows]


def _gold(prompter: Prompter) -> list[str]:
    return [gold_of(row) for row in _validation(prompter)]


def _score(model: PreTrainedModel | Remote, prompter: Prompter) -> Scored:
    rows = _validation(prompter)
    return prompter.kind.score(
        _gold(prompter),
        prompter.kind.predict_untrained(
            model, prompter.prompts(rows), [row["input"] for row in rows]
        ),
    )


def _warn_undescribed(kind: Kind) -> None:
    if names := kind.undescribed:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        logger.warning(
            "Task %s: %d without a description, of which the teacher is told the name alone: %s%s",
            *(kind.task.name, len(names), ", ".join(names[:MOST_NAMED]), more),
        )
