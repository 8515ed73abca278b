"""What a teacher version and a student take of disk: formulas over the project's own texts."""

from __future__ import annotations

from dataclasses import dataclass

from stillhouse.selection.plan import Plan
from stillhouse.wording import human_count

# Of what is kept: a draw, a token and its log-probability, numbers of 32 and 16 bits; and of a
# pair, beside its records, its id and its place in a shard.
SAMPLED_BYTES, TOP_K_BYTES, FLOAT_BYTES, HALF_BYTES, PAIR_BYTES = 3, 8, 4, 2, 40


@dataclass(frozen=True)
class Room:
    """Something on disk: `size` in bytes at most; `passing` things go when they are done with."""

    name: str
    formula: str
    size: int
    passing: bool = False


def rooms(plan: Plan, compute: int) -> list[Room]:
    """By artefact; of caches what they may take at most. `compute` is in bytes a number."""
    shape, cut = plan.shape, plan.cut
    stored = shape.stored
    whole, small = human_count(shape.parameters), human_count(cut.parameters)
    found = [
        Room("teacher, imported", f"{whole} x {stored} B", shape.parameters * stored),
        Room("teacher, adapted", f"{whole} x {stored} B", shape.parameters * stored),
        Room("student's checkpoint", f"{small} x {stored} B", cut.parameters * stored),
        Room(
            "state of its training", f"{small} x (3 + 1) x 4 B: weights, two moments, the best",
            cut.parameters * 16, passing=True,
        ),
        _quantized(plan),
    ]  # fmt: skip
    if plan.texts is None:
        return found
    found.append(_labels(plan))
    if size := plan.cached(compute):
        text = f"{plan.texts.tokens:,} tokens x {shape.hidden:,} x {compute} B"
        found.append(Room("hidden cache", text, size, passing=True))
    return found


def _quantized(plan: Plan) -> Room:
    cut, how = plan.cut, plan.student.quantization
    linear, group = cut.layers * cut.layer, how.group_size or 64
    bits = how.bits + (16 + (4 if how.bits == 4 else 0)) / group
    size = int(linear * bits / 8) + 2 * (cut.embeddings + cut.hidden)
    text = f"{human_count(linear)} x {bits:.2f} bits + {human_count(cut.embeddings)} x 2 B"
    return Room(f"student, {how.bits} bits", text, size)


def _labels(plan: Plan) -> Room:
    assert plan.texts is not None  # noqa: S101 - asked only then
    soft, size, parts = plan.project.soft_labels, 0, []
    classes = sum(len(kind.answer_tokens) for kind in plan.texts.kinds)
    learned = {task.name for task in plan.project.softly_learned}
    for name in plan.student.tasks:
        if name not in learned:
            continue
        encoding = soft.encoding_of(plan.project.task(name), adapted=plan.adapted)
        each = {
            "labels": classes * FLOAT_BYTES,
            "top_k": soft.k * TOP_K_BYTES + FLOAT_BYTES,
            "sampled": soft.draws * SAMPLED_BYTES,
            "hidden": plan.shape.hidden * HALF_BYTES,
        }[encoding]
        pairs, answers = plan.texts.counts[name]
        size += pairs * PAIR_BYTES + answers * each
        parts.append(f"{name}: {answers:,} x {each:,} B + {pairs:,} x {PAIR_BYTES} B ({encoding})")
    return Room("soft labels", " + ".join(parts) or "no task is learned softly", size)
