"""What a report says of people's judgement of outputs, from `people` of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillhouse.report import findings
from stillhouse.tasks.results import MODELS
from stillhouse.tasks.sections import Section, Table

TITLE = "What people say"
CAPTION = (
    "The share of the outputs that people accept, with its 95% interval (Wilson). Each was judged "
    "by itself, without a word of whose it is; of several verdicts on one the strictest counts."
)
# Krippendorff (2004, "Content Analysis"): below this, not even tentative conclusions are drawn.
LEAST = 0.667

Evaluation = Mapping[str, Any]


def people_sections(evaluation: Evaluation, task: str) -> list[Section]:
    """The section of one task; empty where nobody judged."""
    if not _of(evaluation, task):
        return []
    tables = [Table(*table(evaluation, task), CAPTION)]
    return [Section(TITLE, people_readings(evaluation, task), tables=tables)]


def _of(evaluation: Evaluation, task: str) -> Mapping[str, Any]:
    return evaluation.get("people", {}).get(task) or {}


def table(evaluation: Evaluation, task: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows, as text, of what of each model people accept."""
    accepted = _of(evaluation, task).get("accepted", {})
    rows = [
        [findings.shown_name(evaluation, model), _said(accepted[model])]
        for model in MODELS
        if model in accepted
    ]
    return ["Model", "Accepted by people"], rows


def people_readings(evaluation: Evaluation, task: str) -> list[str]:
    """What there is to say, a paragraph each."""
    found = _of(evaluation, task)
    if not found:
        return []
    who = "One person" if found["reviewers"] == 1 else f"{found['reviewers']:,} people"
    judged = f"{found['judged']:,} output{'s' if found['judged'] != 1 else ''}"
    said = [f"{who} judged {judged} of the quantized student and its teacher."]
    return [*said, _preferred(found["preferred"]), _agree(found), _with_metric(found)]


def _preferred(liked: Mapping[str, Any]) -> str:
    both = liked["wins"] + liked["losses"] + liked["ties"]
    if not both:
        return "Of no text were both outputs judged, so neither can be preferred."
    text = (
        f"Of {both:,} text{'s' if both != 1 else ''} of which both outputs were judged, the "
        f"student's alone was accepted of {liked['wins']:,} and its teacher's alone of "
        f"{liked['losses']:,}"
    )
    if liked["rate"] is None:
        return f"{text}: people prefer neither."
    verdict = "more than chance explains" if liked["p_value"] < 0.05 else "chance may explain that"
    p = "p < 0.001" if liked["p_value"] < 0.001 else f"p = {liked['p_value']:.2g}"
    return (
        f"{text}: where they differ the student's is preferred in {_said(liked['rate'])}; "
        f"{verdict} (exact sign test, {p})."
    )


def _agree(found: Mapping[str, Any]) -> str:
    alpha, twice = found["alpha"], found["read_twice"]
    if alpha is None:
        why = "no output was judged by two" if not twice else f"all said the same of {twice:,}"
        return f"How far people agree with each other can't be told: {why}."
    text = (
        f"People agree with each other by a kappa of {_said(alpha)} over {twice:,} "
        f"output{'s' if twice != 1 else ''} that two or more judged (Krippendorff's alpha, the "
        "kappa of any number of people; 1 is all, 0 what chance gives)."
    )
    if alpha["low"] < LEAST:
        text += f" It is not shown to reach {LEAST}: judgements that differ so much settle little."
    return text


def _with_metric(found: Mapping[str, Any]) -> str:
    kappa = found["kappa"]
    if kappa is None:
        return (
            "How far they agree with the automatic metric can't be told: both said the "
            "same one thing of every output."
        )
    return (
        f"They agree with the automatic metric, accepted against right, by Cohen's kappa of "
        f"{_said(kappa)}: the lower it is, the less the figures above say of what people want."
    )


def _said(found: Mapping[str, float]) -> str:
    ends = (f"{found[end]:z.2f}" for end in ("low", "high"))
    # A dash before a minus can't be read.
    return f"{found['value']:z.2f} ({(' to ' if found['low'] < 0 else '–').join(ends)})"
