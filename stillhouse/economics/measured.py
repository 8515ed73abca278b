"""What this installation measured of itself, for what the price file leaves empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stillhouse.economics.inputs import Input
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.query import query

# What is made anew when a student is distilled again.
DISTILLED = (
    *("adapted_teacher", "teacher_answers", "soft_labels", "checkpoint", "quantized_model"),
    "evaluation_report",
)
# The models of a report that each kind of machine runs.
MODELS = {"student": "student_quantized", "teacher": "teacher"}
DAYS_A_YEAR = 365.25
# So many held-out texts tell how long a request is.
TEXTS = 500


def measured(state: State, version: str, student: str) -> dict[str, Input]:
    """By the name that the price file has for it; what was not measured is left out."""
    found = [*_speeds(state, version, student), *_hours(state, version, student), _times(state)]
    found += _tokens(state, version, student)
    return {one.name: one for one in found}


def _speeds(state: State, version: str, student: str) -> Iterator[Input]:
    report = Artefact(STEPS["evaluation_report"], version, student)
    served = _served(state, report)
    for machine, model in MODELS.items():
        speed = state.facts(report).texts_per_second.get(model)
        source = "measured here: held-out texts answered in batches, without a server"
        if machine == "student" and served:
            speed, source = served, "measured here: the most that its server answered"
        if speed:
            name = f"machines.{machine}.requests_per_second"
            yield Input(name, speed, source=source, measured=True)


def _served(state: State, report: Artefact) -> float | None:
    """Requests a second of the latency profile, where there is one."""
    record = state.record(report.beside("latency_profile"))
    found: float | None = record.facts["figures"].get("requests_per_second") if record else None
    return found


def _hours(state: State, version: str, student: str) -> Iterator[Input]:
    """Of the steps as they were last made; where a step found its caches, it took less."""
    report = Artefact(STEPS["evaluation_report"], version, student)
    records = [state.record(report.beside(name)) for name in DISTILLED]
    seconds = [record.seconds for record in records if record and record.seconds is not None]
    if len(seconds) == len(DISTILLED):
        source = "measured here: from the teacher's adaptation to the report, as last made"
        yield Input("distillation.hours", sum(seconds) / 3600, source=source, measured=True)


def _times(state: State) -> Input:
    days = state.project.automation.redistill.days
    source = f"automation.redistill.days: {days:g}, if there is always something new"
    return Input("distillation.per_year", DAYS_A_YEAR / days, source=source, measured=True)


def _tokens(state: State, version: str, student: str) -> Iterator[Input]:
    """Of the held-out pairs of the student's tasks, in the teacher's tokens: an API counts in its
    own, and is told more, such as the classes' names."""
    file = state.layout.teacher_weights(version) / "tokenizer.json"
    table = state.layout.table("dataset_splits")
    pairs = _pairs(table, state.project.student(student).tasks) if table.exists() else []
    if not pairs or not file.exists():
        return
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    source = f"measured here: {len(pairs)} held-out pairs in the teacher's tokens"
    for name, texts in zip(("input", "output"), zip(*pairs, strict=True), strict=True):
        counts = [len(one.ids) for one in tokenizer.encode_batch(list(texts))]
        mean = sum(counts) / len(counts)
        yield Input(f"tokens.{name}", mean, source=source, measured=True)


def _pairs(table: Path, tasks: list[str]) -> list[tuple[str, str]]:
    named = ", ".join(f"'{task}'" for task in tasks)  # plain names, by the project file
    rows = query(
        f"""SELECT instruction || chr(10) || chr(10) || input AS asked, response FROM t
            WHERE split = 'test' AND response IS NOT NULL AND task IN ({named})
            ORDER BY pair_id LIMIT {TEXTS}""",  # noqa: S608
        t=table,
    ).to_pylist()
    return [(row["asked"], row["response"]) for row in rows]
