"""What a teacher and a student of a project file need, and what to change where it doesn't fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stillhouse.config.project import Project
from stillhouse.config.student import Student
from stillhouse.config.teacher import Teacher
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.fetch import default_cache, locate
from stillhouse.models.loading import load_tokenizer
from stillhouse.models.weights import weight_files
from stillhouse.selection.machine import Machine
from stillhouse.selection.memory import (
    Bits,
    Load,
    Need,
    adapter_training,
    full_training,
    labelling,
    serving,
)
from stillhouse.selection.shape import Shape, shape_of
from stillhouse.storage.layout import Layout
from stillhouse.storage.snapshots import current_snapshot
from stillhouse.student.vocabulary import prune_tokenizer
from stillhouse.tasks.common import Kind, training_examples
from stillhouse.tasks.kinds import kind_of, open_tasks
from stillhouse.teacher.adaptation import trained_layers
from stillhouse.wording import human_bytes

SERVED_AT_ONCE = 16
SERVED_BITS: tuple[Bits, ...] = (16, 8, 4)
IN_WORDS_AT_ONCE = 8  # prompts (see `sequence_probabilities`)
LEAST_TOKENS = 64  # fewer are no text any more


@dataclass(frozen=True)
class Texts:
    """The project's own training texts, at least one, under the teacher's tokenizer: of each task
    so many [pairs, tokens of their answers]. `seen` counts the tokens of a pruned vocabulary,
    `dataset` holds the pairs."""

    examples: list[Example]
    kinds: list[Kind]
    seen: int
    dataset: Path
    counts: dict[str, tuple[int, int]]

    @property
    def tokens(self) -> int:
        return sum(len(e.ids) for e in self.examples)


@dataclass(frozen=True)
class Plan:
    """A teacher and a student as the project file has them. `weights` is the imported teacher,
    `texts` are there where the dataset and the teacher's tokenizer are."""

    project: Project
    teacher: Teacher
    student: Student
    shape: Shape
    weights: Path | None
    texts: Texts | None

    @property
    def cut(self) -> Shape:
        pruned = self.texts is not None and self.student.init.vocabulary == "corpus"
        vocabulary = self.texts.seen if pruned and self.texts else None
        return self.shape.cut(self.student.init.layers, vocabulary)

    @property
    def adapted(self) -> bool:
        return self.teacher.adapt.method != "none"


def plan_of(project: Project, teacher: str, student: str) -> Plan:
    """Raises `UserError` for names that the project doesn't have, and for a teacher that is not on
    this machine or no decoder."""
    chosen, learner = project.teacher(teacher), project.student(student)
    layout = Layout(project.data_path)
    imported: Path | None = layout.teacher_weights(teacher)
    if imported is None or not weight_files(imported):
        imported = None
    source = imported or locate(chosen.model, default_cache(), project.root, project.registry)
    shape = shape_of(chosen.model, source)
    texts = _texts(project, learner, imported, layout) if imported else None
    return Plan(project, chosen, learner, shape, imported, texts)


def _texts(project: Project, student: Student, weights: Path, layout: Layout) -> Texts | None:
    snapshot = current_snapshot(layout)
    if snapshot is None:
        return None
    tokenizer = load_tokenizer(weights)
    encoder = Encoder(tokenizer, student.distillation.max_tokens)
    kinds = open_tasks(snapshot.path, [project.task(name) for name in student.tasks])
    found = [training_examples(kind, snapshot.path, encoder) for kind in kinds]
    examples = [e for split in found for e in split.examples]
    if not examples:
        return None
    seen = {token for e in examples for token in e.ids}
    answers = sum(len(kind.answer_tokens) for kind in kinds)
    pruned = prune_tokenizer(tokenizer, seen)
    counts = {
        split.kind.task.name: (
            len(split.examples), sum(len(e.response_ids) for e in split.examples)
        )
        for split in found
    }  # fmt: skip
    rows = len(pruned.student_to_teacher) + answers
    return Texts(examples, kinds, rows, snapshot.path, counts)


def largest_batch(examples: Sequence[Example], batch: int, *, packed: bool) -> tuple[int, int]:
    """Rows of tokens of the largest batch of `examples`, and those that predict an answer's token.

    Texts that begin alike share their rows where a model is `packed`.
    """
    from stillhouse.lm.packing import pack

    chosen = sorted(examples, key=lambda e: -len(e.ids))[:batch]
    fed = [e.ids[:-1] for e in chosen]
    rows = len(pack(fed).places) if packed else len(fed) * max(map(len, fed))
    return rows, sum(len(e.response_ids) for e in chosen)


def _load(plan: Plan, machine: Machine, batch: int, most: int) -> Load:
    """The largest batch of the project's own texts, or of texts as long as they may be."""
    answers = batch * (1 if _classes(plan) else most // 2)
    rows = batch * most
    if plan.texts:
        cut = [Example(e.key, e.ids[-most:], min(e.response_start, most - 1))
               for e in plan.texts.examples]  # fmt: skip
        rows, answers = largest_batch(cut, batch, packed=True)
    return Load(rows, answers, machine.compute, machine.gpu)


def _classes(plan: Plan) -> bool:
    return all(kind_of(plan.project.task(t)).countable for t in plan.student.tasks)


def needs(plan: Plan, machine: Machine) -> list[Need]:
    """All that the plan needs on a machine, in the order of a run; QLoRA beside it."""
    how, settings = plan.teacher.adapt, plan.student.distillation
    return [
        _adapting(plan, machine, how.batch_size, how.max_tokens),
        _adapting(plan, machine, how.batch_size, how.max_tokens, quantized=True),
        _labelling(plan, machine, plan.project.soft_labels.batch_size),
        _distilling(plan, machine, settings.batch_size, settings.max_tokens, plan.cut),
        *(_serving(plan, machine, bits) for bits in SERVED_BITS),
    ]


def _labelling(plan: Plan, machine: Machine, batch: int) -> Need:
    if not plan.adapted:
        load = Load(
            min(batch, IN_WORDS_AT_ONCE) * plan.teacher.prompt.max_tokens,
            batch, machine.compute, machine.gpu,
        )  # fmt: skip
        return labelling(plan.shape, load)
    load = _load(plan, machine, batch, plan.teacher.adapt.max_tokens)
    soft, softly = plan.project.soft_labels, plan.project.softly_learned
    kept = {soft.encoding_of(task, adapted=True) for task in softly}
    return labelling(plan.shape, load, classes=kept <= {"labels"})


def _adapting(
    plan: Plan, machine: Machine, batch: int, most: int, *, quantized: bool = False
) -> Need:
    how = plan.teacher.adapt
    tasks = [plan.project.task(name) for name in plan.student.tasks]
    layers = min(trained_layers(how, tasks) or plan.shape.layers, plan.shape.layers)
    load = _load(plan, machine, batch, most)
    return adapter_training(plan.shape, load, rank=how.rank, layers=layers, quantized=quantized)


def _distilling(plan: Plan, machine: Machine, batch: int, most: int, cut: Shape) -> Need:
    how = plan.student.distillation
    tasks = [plan.project.task(name) for name in plan.student.tasks]
    load = _load(plan, machine, batch, most)
    return full_training(cut, load, aligned=any(how.alignment_of(t) for t in tasks))


def labelling_of(project: Project, teacher: Teacher, shape: Shape, machine: Machine) -> int:
    """Bytes that labelling takes with a teacher of this shape, whose tokenizer isn't known yet."""
    plan = Plan(project, teacher, project.students[0], shape, None, None)
    return _labelling(plan, machine, project.soft_labels.batch_size).size


def serving_of(student: Student, shape: Shape, machine: Machine) -> int:
    """Bytes that a student cut from a teacher of this shape takes to serve, quantized; with the
    whole vocabulary."""
    most, how = student.distillation.max_tokens, student.quantization
    load = Load(SERVED_AT_ONCE * most, SERVED_AT_ONCE, machine.compute, machine.gpu)
    cut = shape.cut(student.init.layers)
    group = how.group_size or 64
    return serving(cut, how.bits, load, sequences=SERVED_AT_ONCE, tokens=most, group=group).size


def _serving(plan: Plan, machine: Machine, bits: Bits) -> Need:
    most = plan.student.distillation.max_tokens
    load = Load(SERVED_AT_ONCE * most, SERVED_AT_ONCE, machine.compute, machine.gpu)
    group = plan.student.quantization.group_size or 64
    return serving(plan.cut, bits, load, sequences=SERVED_AT_ONCE, tokens=most, group=group)


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
                (b, _labelling(plan, machine, b))
                for b in _halves(plan.project.soft_labels.batch_size)
            ),
            fits,
        )
        other = "a smaller teacher, or one whose file is quantized, behind an endpoint"
    elif need.purpose == "training, LoRA":
        how = plan.teacher.adapt
        said = _halved(
            "teachers[].adapt", how.batch_size, how.accumulation, how.max_tokens,
            lambda b, n: _adapting(plan, machine, b, n), fits,
        )  # fmt: skip
        said.append("teachers[].adapt: {method: none}: it is asked in words, nothing is trained")
        other = "a smaller teacher"
    elif need.purpose == "training, full":
        settings, cut = plan.student.distillation, plan.cut
        said = _halved(
            "students[].distillation", settings.batch_size, settings.accumulation,
            settings.max_tokens,
            lambda b, n: _distilling(plan, machine, b, n, cut), fits,
        )  # fmt: skip
        layers = (
            (n, _distilling(plan, machine, settings.batch_size, settings.max_tokens,
                            plan.shape.cut(n, cut.vocabulary)))
            for n in _halves(cut.layers)
        )  # fmt: skip
        said += _smaller("students[].init: {{layers: {0}}}", layers, fits)
        other = "a smaller teacher to cut it from"
    elif need.purpose.startswith("serving"):
        bits = ((int(b), _serving(plan, machine, b)) for b in SERVED_BITS[1:])
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
