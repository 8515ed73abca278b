"""From a teacher and its soft labels to a trained student checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.audit import LeakAudit
from stillhouse.config.dataset import Task
from stillhouse.config.student import Student
from stillhouse.errors import UserError
from stillhouse.facts import CheckpointFacts
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.lm.scoring import lift_tokens
from stillhouse.models.importing import describe
from stillhouse.models.loading import (
    load_model,
    load_tokenizer,
    pick_device,
    pick_dtype,
    stored_dtype,
)
from stillhouse.soft_labels.head import Head
from stillhouse.soft_labels.reader import LabelReader
from stillhouse.storage.files import read_json, write_json
from stillhouse.student.alignment import TeacherStates
from stillhouse.student.base import prepare_base, require_same_tokens, teacher_to_student
from stillhouse.student.canaries import CANARIES, Canary, affordable, invent, plant, received
from stillhouse.student.initialise import cut_student
from stillhouse.student.vocabulary import PrunedVocabulary, prune_tokenizer
from stillhouse.tasks.common import (
    Examples,
    Kind,
    prompts_of,
    require_splits,
    training_examples,
    training_rows,
)
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.lengths import tell_what_is_cut
from stillhouse.tasks.models import (
    Validation,
    answer_ids,
    gold_of_written,
    mean_figures,
    mean_score,
)
from stillhouse.training.loop import train
from stillhouse.training.step import TrainingData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from stillhouse.soft_labels.targets import SparseTargets


def distil_student(
    teacher: Path,
    soft_labels: Path,
    headers: Sequence[Mapping[str, Any]],
    target: Path,
    dataset: Path,
    tasks: Sequence[Task],
    settings: Student,
    *,
    answered: Path | None = None,
    audit: LeakAudit | None = None,
    scratch: Path,
    fingerprint: str,
    base: Path | None = None,
) -> CheckpointFacts:
    """Cut a student from the adapted `teacher`, train it on its soft labels, fill `target` with it.
    Where `settings` name a model of its own, it is cut from that, which lies at `base`.

    `answered` is the table of pairs that the teacher answered itself. `headers` say which labels
    lie below `soft_labels` (see `SoftLabelsFacts`). The folder holds the best validation
    checkpoint: safetensors, tokenizer, the mapping of the vocabulary. The test split is never read.
    Canaries for the leak `audit` are learned beside the pairs, where it asks for any.
    Resumes after a kill from `scratch`.

    Raises `UserError`, before time is spent, when a split of a task is empty or a training pair
    has no soft label; and as `require_same_tokens` does.
    """
    import torch

    how = settings.distillation
    require_splits(dataset, tasks)
    labels = None
    if softly := [task for task in tasks if how.alpha_of(task)]:
        labels = LabelReader.open(soft_labels, headers, how.temperature)
        _require_labels(labels, dataset, answered, settings.name, softly)
    tokenizer = load_tokenizer(teacher)
    kinds = open_tasks(dataset, tasks)
    start, own = teacher, tokenizer
    if base is not None:
        start = scratch / f"base-{fingerprint[:16]}"
        prepare_base(str(settings.init.base), base, start, kinds, tokenizer, labels)
        own = load_tokenizer(start)
        if labels:
            require_same_tokens(tokenizer, own, labels, settings.name)
    vocabulary = None
    if settings.init.vocabulary == "corpus":
        vocabulary = _vocabulary_of(start, own, kinds, dataset, answered, how.max_tokens)
    cut = cut_student(start, layers=settings.init.layers, vocabulary=vocabulary, target=target)
    student_tokenizer = load_tokenizer(target)
    mapping = None if vocabulary is None else vocabulary.teacher_to_student
    if base is not None:
        mapping = teacher_to_student(tokenizer, student_tokenizer)
    encoder = Encoder(student_tokenizer, how.max_tokens)
    learned = [training_examples(k, dataset, encoder, answered) for k in kinds]
    for split in learned:
        tell_what_is_cut(split, how.max_tokens, "students[].distillation.max_tokens")
    examples = [e for split in learned for e in split.examples]
    validation = [prompts_of(k, dataset, "validation", encoder) for k in kinds]
    weights = {s.kind.task.name: settings.alignment_of(s.kind.task) for s in learned}
    drawn = [e for s in learned if weights[s.kind.task.name] for e in s.examples]
    states = None
    if drawn:
        states = TeacherStates(
            teacher,
            cut.kept_layers,
            drawn,
            scratch / "hidden_states",
            fingerprint,
            teacher_ids=None if vocabulary is None else vocabulary.student_to_teacher,
            pad_id=tokenizer.pad_token_id,
        )
        states.prepare()  # the teacher is gone before the student takes its memory
    device = pick_device()
    # In float32, and computed with in what is fastest: bfloat16 weights lose small updates.
    model = load_model(target, device, torch.float32)
    pad_id = student_tokenizer.pad_token_id
    lift_tokens(model, answer_ids(kinds, student_tokenizer), examples, pad_id=pad_id)
    alphas = {e.key: how.alpha_of(s.kind.task) for s in learned for e in s.examples}
    planted = plant(_canaries(kinds, learned, audit), encoder)
    if planted:
        write_json(target / CANARIES, received(model, planted, pad_id=pad_id))
        # No teacher labels them: they are learned from the words.
        alphas |= {p.example.key: 0.0 for p in planted}
        examples += [p.example for p in planted for _ in range(p.canary.repeats)]
    followed = gold_of_written(kinds, dataset, "validation", encoder)
    validated = Validation(model, encoder, validation, followed)
    result = train(
        model,
        TrainingData(
            examples,
            _SoftTargets(labels, alphas, teacher, len(tokenizer), mapping) if labels else None,
            how.temperature,
            alphas,
            hidden_states=states,
            alignment=max(weights.values()),
            aligned={e.key for e in drawn},
        ),
        how,
        evaluate=validated.of_epoch,
        state_folder=scratch,
        fingerprint=fingerprint,
        pad_id=pad_id,
        vocabulary=len(student_tokenizer),
        description=f"Distilling {settings.name}",
        dtype=pick_dtype(device),
    )
    scored = validated.of_best(result.epochs_since_best)
    model.to(stored_dtype(target)).save_pretrained(target)
    student_tokenizer.save_pretrained(target)
    info = describe(target)
    return CheckpointFacts(
        digest=info.fingerprint,
        parameters=info.parameters,
        bytes=info.bytes,
        layers=len(cut.kept_layers),
        vocabulary=len(student_tokenizer),
        teacher_vocabulary=len(own),
        canaries=len(planted),
        score=mean_score(scored),
        scores=mean_figures(scored),
        best_epoch=result.best_epoch,
        stopped_early=result.stopped_early,
        history=result.history,
        tokens_per_epoch=sum(len(e.ids) for e in examples),
        computed_in=str(pick_dtype(device)).removeprefix("torch."),
    )


def _require_labels(
    labels: LabelReader, dataset: Path, answered: Path | None, student: str, tasks: Sequence[Task]
) -> None:
    keys = (
        row["pair_id"]
        for task in tasks
        for rows in training_rows(dataset, task.name, answered)
        for row in rows
    )
    if missing := len(labels.missing(keys)):
        raise UserError(
            f"{student}: {missing:,} training pairs have no soft label",
            remedy="materialize `soft_labels` first, with the same dataset; `stillhouse run` makes "
            "everything in order.",
        )


def _vocabulary_of(
    teacher: Path,
    tokenizer: PreTrainedTokenizerBase,
    kinds: Sequence[Kind],
    dataset: Path,
    answered: Path | None,
    max_tokens: int,
) -> PrunedVocabulary:
    """What the training split uses of the teacher's vocabulary, and no other split."""
    encoder = Encoder(tokenizer, max_tokens)
    seen: set[int] = set()
    for kind in kinds:
        for example in training_examples(kind, dataset, encoder, answered).examples:
            seen.update(example.ids)
    rows = read_json(teacher / "config.json")["vocab_size"]
    return prune_tokenizer(tokenizer, seen, teacher_rows=rows)


def _canaries(
    kinds: Sequence[Kind], learned: Sequence[Examples], audit: LeakAudit | None
) -> list[Canary]:
    """Those of the leak audit that are few beside the pairs."""
    pairs = {True: 0, False: 0}
    for split in learned:
        pairs[not split.kind.answer_tokens] += len(split.examples)
    if audit is None:
        return []
    return affordable(invent(kinds, audit.canaries, audit.seed), pairs, audit.share)


class _SoftTargets:
    """Soft labels of examples under the student's token ids, whatever their encodings; none of
    those whose share of the loss (`alphas`) is 0, which may have no label."""

    def __init__(
        self,
        labels: LabelReader,
        alphas: Mapping[str, float],
        teacher: Path,
        teacher_tokens: int,
        mapping: NDArray[np.int64] | None,
    ) -> None:
        import torch

        self.labels, self.alphas = labels, alphas
        self.mapping = self.head = None
        if mapping is not None:
            self.mapping = torch.as_tensor(mapping)
        if labels.needs_head:
            self.head = Head.read(teacher, teacher_tokens, pick_device())

    def __call__(self, examples: Sequence[Example]) -> SparseTargets:
        from stillhouse.soft_labels.targets import SparseTargets

        softly = [e for e in examples if self.alphas[e.key]]
        if not softly:
            rows = sum(len(e.response_ids) for e in examples)
            return SparseTargets.empty(rows, self.labels.temperature)
        found = self.labels.targets([e.key for e in softly], mapping=self.mapping, head=self.head)
        if len(softly) == len(examples):
            return found
        pieces, row = [], 0
        for example in examples:
            rows = len(example.response_ids)
            if self.alphas[example.key]:
                pieces.append(found.slice(row, row + rows))
                row += rows
            else:
                pieces.append(SparseTargets.empty(rows, found.temperature))
        return SparseTargets.concatenate(pieces)
