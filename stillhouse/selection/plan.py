"""What a teacher and a student of a project file need of memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stillhouse.config.project import Project
from stillhouse.config.student import Student
from stillhouse.config.teacher import Teacher
from stillhouse.lm.decoder import SERVED_ROWS, SERVED_SHARE, roomy
from stillhouse.lm.generation import READ_TOKENS
from stillhouse.lm.hidden_cache import MAX_CACHE_BYTES
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

SERVED_BITS: tuple[Bits, ...] = (16, 8, 4)
IN_WORDS_AT_ONCE = 8  # prompts (see `sequence_probabilities`)


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
    `texts` are there where the dataset and the teacher's tokenizer are. `start` is what the student
    is cut from: its teacher, or a model of its own."""

    project: Project
    teacher: Teacher
    student: Student
    shape: Shape
    weights: Path | None
    texts: Texts | None
    start: Shape

    @property
    def cut(self) -> Shape:
        pruned = self.texts is not None and self.student.init.vocabulary == "corpus"
        vocabulary = self.texts.seen if pruned and self.texts else None
        return self.start.cut(self.student.init.layers, vocabulary)

    @property
    def adapted(self) -> bool:
        return self.teacher.adapt.method != "none"

    @property
    def trained_layers(self) -> int:
        """So many of the teacher's layers learn."""
        tasks = [self.project.task(name) for name in self.student.tasks]
        chosen = trained_layers(self.teacher.adapt, tasks)
        return min(chosen or self.shape.layers, self.shape.layers)

    def cached(self, compute: int) -> int:
        """Bytes of the hidden states that enter them, where they are kept (see teacher/trunk.py);
        0 where nothing is."""
        if self.texts is None or not self.adapted or self.trained_layers == self.shape.layers:
            return 0
        size = self.texts.tokens * self.shape.hidden * compute
        return size if size <= MAX_CACHE_BYTES else 0


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
    return Plan(project, chosen, learner, shape, imported, texts, start_of(project, learner, shape))


def start_of(project: Project, student: Student, teacher: Shape) -> Shape:
    """The shape of what a student is cut from. Raises `UserError` as `plan_of` does."""
    if (base := student.init.base) is None:
        return teacher
    return shape_of(base, locate(base, default_cache(), project.root, project.registry))


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
        adapting_need(plan, machine, how.batch_size, how.max_tokens),
        adapting_need(plan, machine, how.batch_size, how.max_tokens, quantized=True),
        labelling_need(plan, machine, plan.project.soft_labels.batch_size),
        distilling_need(plan, machine, settings.batch_size, settings.max_tokens, plan.cut),
        *(serving_need(plan, machine, bits) for bits in SERVED_BITS),
    ]


def labelling_need(plan: Plan, machine: Machine, batch: int) -> Need:
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


def adapting_need(
    plan: Plan, machine: Machine, batch: int, most: int, *, quantized: bool = False
) -> Need:
    how = plan.teacher.adapt
    layers, load = plan.trained_layers, _load(plan, machine, batch, most)
    return adapter_training(
        plan.shape, load, rank=how.rank, layers=layers, quantized=quantized,
        cached=0 if quantized else plan.cached(machine.compute),
    )  # fmt: skip


def distilling_need(plan: Plan, machine: Machine, batch: int, most: int, cut: Shape) -> Need:
    """A smaller `batch` than the project file has comes with as much accumulated."""
    how, soft = plan.student.distillation, plan.project.soft_labels
    tasks = [plan.project.task(name) for name in plan.student.tasks]
    more = -(-how.batch_size * how.accumulation // batch)
    load = replace(_load(plan, machine, batch, most), accumulation=more)
    aligned = any(plan.student.alignment_of(t) for t in tasks)
    tokens = plan.texts.tokens if plan.texts else 0
    kept = {soft.encoding_of(t, adapted=plan.adapted) for t in tasks if how.alpha_of(t)}
    return full_training(
        cut, load, aligned=aligned,
        teacher=plan.shape if aligned else None,
        stays=aligned and tokens * cut.layers * cut.hidden * 2 > MAX_CACHE_BYTES,
        head=plan.shape if "hidden" in kept else None,
    )  # fmt: skip


def labelling_of(project: Project, teacher: Teacher, shape: Shape, machine: Machine) -> int:
    """Bytes that labelling takes with a teacher of this shape, whose tokenizer isn't known yet."""
    plan = Plan(project, teacher, project.students[0], shape, None, None, shape)
    return labelling_need(plan, machine, project.soft_labels.batch_size).size


def serving_of(student: Student, shape: Shape, machine: Machine) -> int:
    """Bytes that a student cut from a model of this shape takes to serve, quantized; with the whole
    vocabulary."""
    return _serving(
        student, shape.cut(student.init.layers), machine, student.quantization.bits
    ).size


def serving_need(plan: Plan, machine: Machine, bits: Bits) -> Need:
    return _serving(plan.student, plan.cut, machine, bits)


def _serving(student: Student, cut: Shape, machine: Machine, bits: Bits) -> Need:
    """By as many at once as the server answers, where keys and values of so many find room."""
    most, group = student.distillation.max_tokens, student.quantization.group_size or 64
    rows, tokens = SERVED_ROWS["cuda" if machine.gpu else "cpu"], most
    if machine.gpu:
        tokens = roomy(most)
        free = machine.memory - machine.taken - cut.parameters * machine.compute
        held = 2 * cut.layers * cut.keys * machine.compute * tokens
        rows = max(1, min(rows, int(SERVED_SHARE * free) // held))
    read = min(rows * most, max(READ_TOKENS, most))
    load = Load(read, rows, machine.compute, machine.gpu)
    return serving(cut, bits, load, sequences=rows, tokens=tokens, group=group)
