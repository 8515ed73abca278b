"""What to change in the project file where something doesn't fit, by the same formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stillhouse.selection.machine import Machine
from stillhouse.selection.memory import Need
from stillhouse.selection.plan import (
    SERVED_BITS,
    Plan,
    adapting_need,
    distilling_need,
    labelling_need,
    serving_need,
)
from stillhouse.wording import human_bytes

LEAST_TOKENS = 64  # fewer are no text any more


def remedies(plan: Plan, machine: Machine, need: Need) -> list[str]:
    """Settings of the project file under which `need` fits `machine`, with what it takes then; one
    that says so where none does."""
    room = machine.memory - machine.taken

    def fits(found: Need) -> bool:
        return found.size <= room

    said: list[str] = []
    if need.purpose == "labelling":
        said = _smaller(
            "soft_labels: {{batch_size: {0}}}",
            (
                (b, labelling_need(plan, machine, b))
                for b in _halves(plan.project.soft_labels.batch_size)
            ),
            fits,
        )
        other = "a smaller teacher, or one whose file is quantized, behind an endpoint"
    elif need.purpose == "training, LoRA":
        how = plan.teacher.adapt
        said = _halved(
            "teachers[].adapt", how.batch_size, how.accumulation, how.max_tokens,
            lambda b, n: adapting_need(plan, machine, b, n), fits,
        )  # fmt: skip
        said.append("teachers[].adapt: {method: none}: it is asked in words, nothing is trained")
        other = "a smaller teacher"
    elif need.purpose == "training, full":
        settings, cut = plan.student.distillation, plan.cut
        said = _halved(
            "students[].distillation", settings.batch_size, settings.accumulation,
            settings.max_tokens,
            lambda b, n: distilling_need(plan, machine, b, n, cut), fits,
        )  # fmt: skip
        layers = (
            (n, distilling_need(plan, machine, settings.batch_size, settings.max_tokens,
                            plan.shape.cut(n, cut.vocabulary)))
            for n in _halves(cut.layers)
        )  # fmt: skip
        said += _smaller("students[].init: {{layers: {0}}}", layers, fits)
        other = "a smaller teacher to cut it from"
    elif need.purpose.startswith("serving"):
        bits = ((int(b), serving_need(plan, machine, b)) for b in SERVED_BITS[1:])
        said = _smaller("students[].quantization: {{bits: {0}}}", bits, fits)
        other = "fewer layers (students[].init.layers)"
    else:
        other = "a smaller teacher"
    return said or [f"nothing smaller of these settings fits: {other}"]


def _halves(number: int) -> Iterator[int]:
    while number > 1:
        number //= 2
        yield number


def _smaller(
    text: str, tried: Iterator[tuple[int, Need]], fits: Callable[[Need], bool]
) -> list[str]:
    for value, found in tried:
        if fits(found):
            return [f"{text.format(value)}: {human_bytes(found.size)}"]
    return []


def _halved(
    where: str,
    batch: int,
    accumulation: int,
    most: int,
    need: Callable[[int, int], Need],
    fits: Callable[[Need], bool],
) -> list[str]:
    """A smaller batch with as much accumulated learns the same; shorter texts do not."""
    said = []
    for smaller in _halves(batch):
        if fits(found := need(smaller, most)):
            more = -(-batch * accumulation // smaller)
            said.append(
                f"{where}: {{batch_size: {smaller}, accumulation: {more}}}: "
                f"{human_bytes(found.size)}"
            )
            break
    for shorter in _halves(most):
        if shorter < LEAST_TOKENS:
            break
        if fits(found := need(batch, shorter)):
            said.append(f"{where}: {{max_tokens: {shorter}}}: {human_bytes(found.size)}")
            break
    return said
