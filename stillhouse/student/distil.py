"""From a teacher and its soft labels to a trained student checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from stillhouse.storage.files import read_json
from stillhouse.student.alignment import TeacherStates
from stillhouse.student.initialise import cut_student
from stillhouse.student.vocabulary import PrunedVocabulary, prune_tokenizer
from stillhouse.tasks.common import (
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
    mean_figures,
    mean_score,
    score_all,
)
from stillhouse.training.loop import train
from stillhouse.training.step import TrainingData

if TYPE_CHECKING:
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
    scratch: Path,
    fingerprint: str,
) -> CheckpointFacts:
    """Cut a student from the adapted `teacher`, train it on its soft labels, fill `target` with it.

    `answered` is the table of pairs that the teacher answered itself. `headers` say which labels
    lie below `soft_labels` (see `SoftLabelsFacts`). The folder holds the best validation
    checkpoint: safetensors, tokenizer, the mapping of the vocabulary. The test split is never read.
    Resumes after a kill from `scratch`.

    Raises `UserError`, before time is spent, when a split of a task is empty or a training pair
    has no soft label.
    """
    import torch

    how = settings.distillation
    require_splits(dataset, tasks)
    labels = LabelReader.open(soft_labels, headers, how.temperature)
    _require_labels(labels, dataset, answered, settings)
    tokenizer = load_tokenizer(teacher)
    kinds = open_tasks(dataset, tasks)
    vocabulary = None
    if settings.init.vocabulary == "corpus":
        vocabulary = _vocabulary_of(teacher, tokenizer, kinds, dataset, answered, how.max_tokens)
    cut = cut_student(teacher, layers=settings.init.layers, vocabulary=vocabulary, target=target)
    student_tokenizer = load_tokenizer(target)
    encoder = Encoder(student_tokenizer, how.max_tokens)
    learned = [training_examples(k, dataset, encoder, answered) for k in kinds]
    for split in learned:
        tell_what_is_cut(split, how.max_tokens, "students[].distillation.max_tokens")
    examples = [e for split in learned for e in split.examples]
    validation = [prompts_of(k, dataset, "validation", encoder) for k in kinds]
    device = pick_device()
    # In float32, and computed with in what is fastest: bfloat16 weights lose small updates.
    model = load_model(target, device, torch.float32)
    pad_id = student_tokenizer.pad_token_id
    lift_tokens(model, answer_ids(kinds, student_tokenizer), examples, pad_id=pad_id)
    states = None
    if how.alignment:
        states = TeacherStates(
            teacher,
            cut.kept_layers,
            examples,
            scratch / "hidden_states",
            fingerprint,
            teacher_ids=None if vocabulary is None else vocabulary.student_to_teacher,
            pad_id=tokenizer.pad_token_id,
        )
    validated = Validation(lambda: score_all(model, encoder, validation))
    result = train(
        model,
        TrainingData(
            examples,
            _SoftTargets(labels, teacher, len(tokenizer), vocabulary),
            how.temperature,
            how.alpha,
            hidden_states=states,
            alignment=how.alignment,
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
        teacher_vocabulary=len(tokenizer),
        score=mean_score(scored),
        scores=mean_figures(scored),
        best_epoch=result.best_epoch,
        stopped_early=result.stopped_early,
        history=result.history,
    )


def _require_labels(
    labels: LabelReader, dataset: Path, answered: Path | None, settings: Student
) -> None:
    keys = (
        row["pair_id"]
        for task in settings.tasks
        for rows in training_rows(dataset, task, answered)
        for row in rows
    )
    if missing := len(labels.missing(keys)):
        raise UserError(
            f"{settings.name}: {missing:,} training pairs have no soft label",
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


class _SoftTargets:
    """Soft labels of examples under the student's token ids, whatever their encodings."""

    def __init__(
        self,
        labels: LabelReader,
        teacher: Path,
        teacher_tokens: int,
        vocabulary: PrunedVocabulary | None,
    ) -> None:
        import torch

        self.labels = labels
        self.mapping = self.head = None
        if vocabulary is not None:
            self.mapping = torch.as_tensor(vocabulary.teacher_to_student)
        if labels.needs_head:
            self.head = Head.read(teacher, teacher_tokens, pick_device())

    def __call__(self, examples: Sequence[Example]) -> SparseTargets:
        return self.labels.targets([e.key for e in examples], mapping=self.mapping, head=self.head)
