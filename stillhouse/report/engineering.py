"""What a report says to who makes the student again, or serves it: time, memory, machine,
precision, sizes; from `engineering` of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.tasks.sections import Section, Table
from stillhouse.wording import MISSING, human_bytes, human_count, number

TITLE = "For the engineer"
INTRO = (
    "What it took to make this student, on which machine, and what came out. Times are of the runs "
    "that finished each step: what an interrupted run did before is not in them, nor is what was "
    "reused."
)
CALLED = {
    "teacher_model": "importing the teacher",
    "adapted_teacher": "adapting the teacher",
    "teacher_answers": "the teacher's answers",
    "soft_labels": "labelling",
    "checkpoint": "distillation",
    "quantized_model": "quantizing",
}
WEIGHTS = {
    "teacher_model": "Teacher, as it came",
    "adapted_teacher": "Teacher",
    "checkpoint": "Student",
    "quantized_model": "Student, quantized",
}

Engineering = Mapping[str, Any]


def engineering_sections(evaluation: Mapping[str, Any]) -> list[Section]:
    """The sections for the engineer; empty where nothing was recorded."""
    found: Engineering = evaluation.get("engineering") or {}
    if not found.get("steps"):
        return []
    return [_steps(found), *_training(found), _weights(found), _libraries(found)]


def _steps(found: Engineering) -> Section:
    steps = found["steps"]
    machines = list(dict.fromkeys(filter(None, (_machine(step["machine"]) for step in steps))))
    header = ["Step", "Time", "Most memory", "Most GPU memory"]
    rows = [
        [
            CALLED[step["step"]],
            duration(step["seconds"]),
            human_bytes(step["peaks"].get("ram")),
            human_bytes(step["peaks"].get("gpu")),
        ]
        for step in steps
    ]
    rows.append(["all", duration(sum(s["seconds"] or 0.0 for s in steps)), MISSING, MISSING])
    if not any(step["peaks"].get("gpu") for step in steps):
        header, rows = header[:-1], [row[:-1] for row in rows]
    said = [f"Made on {machines[0]}."] if len(machines) == 1 else []
    if len(machines) > 1:
        said = ["Made on several machines: see the last column."]
        header.append("Machine")
        named = [_machine(step["machine"]) or MISSING for step in steps]
        rows = [[*row, where] for row, where in zip(rows, [*named, MISSING], strict=True)]
    if not machines:
        said = ["Machine and memory were not recorded: an earlier release made these."]
    caption = (
        "Most memory is the most that the process held at once, weights mapped from disk included; "
        "so it is an upper bound of what the step needs."
    )
    return Section("Time and memory", said, tables=[Table(header, rows, caption)])


def _machine(machine: Mapping[str, Any]) -> str:
    if not machine:
        return ""
    gpus: Sequence[str] = machine["gpus"]
    with_gpu = f"{len(gpus)} × {gpus[0]}" if gpus else "no GPU"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {human_bytes(machine['memory'])} of "
        f"memory, {with_gpu} ({machine['system']})"
    )


def _training(found: Engineering) -> list[Section]:
    if not found["training"]:
        return []
    rows = [
        [
            WEIGHTS[name],
            str(trained["epochs"]),
            duration(trained["seconds"]),
            human_count(trained["tokens"]),
            number(trained["tokens_per_second"]),
            trained["computed_in"] or MISSING,
        ]
        for name, trained in found["training"].items()
    ]
    header = ["Model", "Epochs", "Time", "Tokens", "Tokens a second", "Computed in"]
    caption = (
        "Tokens are those of prompts and answers, once an epoch. The time has each epoch's look at "
        "the validation split in it. Weights that are trained are kept in float32 meanwhile, "
        "whatever they are computed in."
    )
    return [Section("Training", tables=[Table(header, rows, caption)])]


def _weights(found: Engineering) -> Section:
    quantization, speed = found["quantization"], found.get("texts_per_second", {})
    named = {"Teacher": "teacher", "Student": "student", "Student, quantized": "student_quantized"}
    rows = []
    for step in found["steps"]:
        if step["step"] not in WEIGHTS:
            continue
        name, quantized = WEIGHTS[step["step"]], step["step"] == "quantized_model"
        bits = str(quantization["bits"]) if quantized else MISSING
        group = quantization.get("group_size") if quantized else None
        rows.append(
            [
                name,
                human_count(step.get("parameters") or None),
                human_bytes(step.get("bytes") or None),
                bits,
                MISSING if group is None else str(group),
                number(speed.get(named.get(name, ""))),
            ]
        )
    header = ["Model", "Parameters", "On disk", "Bits", "Group size", "Texts a second"]
    said = []
    if quantization:
        said.append(
            f"{quantization['quantized_layers']:,} matrices are quantized, calibrated on "
            f"{quantization['calibration_tokens']:,} tokens of training texts; embeddings and "
            "norms stay as they are."
        )
        said += [f"Warning: {warning}" for warning in quantization.get("warnings", [])]
    caption = (
        "Texts a second are those of the test split, in batches, as this report asked them last: "
        "no measure of a server."
    )
    return Section("Weights", said, tables=[Table(header, rows, caption)])


def _libraries(found: Engineering) -> Section:
    rows = [[name, version] for name, version in sorted(found["libraries"].items())]
    return Section(
        "Libraries", tables=[Table(["Library", "Version at distillation"], rows)], folded=True
    )


def duration(seconds: float | None) -> str:
    """ "7.5 s", "1 min 48 s", "2 h 5 min"."""
    if seconds is None:
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    return f"{minutes // 60} h {minutes % 60} min"
