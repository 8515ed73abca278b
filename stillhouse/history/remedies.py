"""What may help against a gap that grew, from what grew with it: advice, not proof."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from stillhouse.facts import GrownGapFacts
from stillhouse.history.gaps import Measured

# Above so many times its student's size, the best teacher is often a smaller one (Zhang et al.,
# "Towards the Law of Capacity Gap in Distilling Language Models", ACL 2025).
FAR = 10


def remedies(rows: Sequence[Measured], grown: Sequence[GrownGapFacts]) -> list[str]:
    """A sentence or two for each student and pair of versions whose gap grew."""
    found = []
    for (student, before, after), some in groupby(
        grown, key=lambda gap: (gap.student, gap.before, gap.after)
    ):
        gaps = list(some)
        at = {(r.version, r.task): r for r in rows if r.student == student}
        shared = [task for version, task in at if version == after and (before, task) in at]
        said = f"{student}, {before} to {after}: {_which(gaps, shared)}. "
        found.append(said + " ".join(_advice(gaps, shared, at)))
    return found


def _which(gaps: Sequence[GrownGapFacts], shared: Sequence[str]) -> str:
    moved = ", ".join(f"{g.task} {g.gap_before:+.3f} to {g.gap_after:+.3f}" for g in gaps)
    if len(shared) == 1:
        return f"the gap to the teacher grew ({moved})"
    if len(gaps) == len(shared):
        return f"the gap to the teacher grew on all {len(shared)} tasks ({moved})"
    return f"the gap to the teacher grew on {len(gaps)} of {len(shared)} tasks ({moved})"


def _advice(
    gaps: Sequence[GrownGapFacts],
    shared: Sequence[str],
    at: dict[tuple[str, str], Measured],
) -> list[str]:
    costly = [gap for gap in gaps if gap.quantization > (gap.gap_after - gap.gap_before) / 2]
    if len(costly) == len(gaps):
        return ["Most of it is quantization: take 8 bits, or more calibration texts."]
    some = ", ".join(gap.task for gap in gaps)
    pairs = [(at[gap.before, gap.task], at[gap.after, gap.task]) for gap in gaps]
    rose = [a.scores["teacher"] > b.scores["teacher"] for b, a in pairs]
    fell = [a.scores["student_quantized"] < b.scores["student_quantized"] for b, a in pairs]
    teacher, student = pairs[0][1].parameters
    said = []
    if len(gaps) < len(shared):
        said.append(
            f"The others keep up, so {some} wants more or better data, a narrower task, or a "
            "student of its own."
        )
    if all(rose) and not all(fell):
        said.append(
            "The teacher knows more than the student can hold: take a bigger student "
            "(init.layers), or draw its hidden states to the teacher's (distillation.alignment)."
        )
        if teacher > FAR * student:
            said.append(
                f"The teacher has {teacher / student:.0f} times its parameters: an assistant "
                "between them, a student that teaches the next, may help."
            )
    elif len(gaps) == len(shared):
        said.append(
            "The student lost what it knew, and not for a better teacher: look at the data that it "
            "learned from (review_sample, teacher_answers), and take more or better of it."
        )
    return said
