"""From a teacher and its soft labels to a trained student checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.student import Student
from stillhouse.evaluate.predictions import mean_scores, probabilities_of, write_predictions
from stillhouse.lm.prompts import Example
from stillhouse.lm.scoring import lift_labels
from stillhouse.lm.tasks import TaskData, encode_task, of_split
from stillhouse.models.loading import load_model, load_tokenizer, pick_device, stored_dtype
from stillhouse.soft_labels.codec import LabelRecords, decode
from stillhouse.soft_labels.store import LabelStore
from stillhouse.storage.files import atomic_dir, read_json
from stillhouse.student.initialise import cut_student
from stillhouse.student.vocabulary import PrunedVocabulary, prune_tokenizer
from stillhouse.training.loop import (
    TrainingData,
    TrainingResult,
    settings_from,
    train,
)

if TYPE_CHECKING:
    from stillhouse.soft_labels.targets import SparseTargets

logger = logging.getLogger("stillhouse")

PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True)
class DistillationReport:
    """Mean scores on the test split, the learning curve and the student's vocabulary."""

    test: dict[str, float]
    training: TrainingResult
    vocabulary: int
    teacher_vocabulary: int


def distil_student(
    teacher: Path,
    labels: LabelStore,
    target: Path,
    tasks: Sequence[TaskData],
    settings: Student,
    *,
    state_folder: Path,
    fingerprint: str,
) -> DistillationReport:
    """Cut a student from the adapted `teacher`, train it on `labels`, write it to `target`.

    The folder holds the best validation checkpoint (safetensors, tokenizer, the mapping of the
    vocabulary) and its predictions on the test split. Resumes after a kill from `state_folder`.
    """
    import torch

    how = settings.distillation
    tokenizer = load_tokenizer(teacher)
    teacher_tasks = [encode_task(tokenizer, t, max_tokens=how.max_tokens) for t in tasks]
    vocabulary = None
    if settings.init.vocabulary == "corpus":
        # Of the training split alone: the test split must stay unseen in every respect.
        seen = {i for e in of_split(teacher_tasks, "train") for i in e.ids}
        vocabulary = prune_tokenizer(
            tokenizer, seen, teacher_rows=read_json(teacher / "config.json")["vocab_size"]
        )
    with atomic_dir(target) as folder:
        cut_student(teacher, layers=settings.init.layers, vocabulary=vocabulary, target=folder)
        student_tokenizer = load_tokenizer(folder)
        encoded = [encode_task(student_tokenizer, t, max_tokens=how.max_tokens) for t in tasks]
        # Trained in float32 on every device: bfloat16 weights lose small updates.
        model = load_model(folder, pick_device(), torch.float32)
        pad_id = student_tokenizer.pad_token_id
        label_ids = [i for t in encoded for i in t.label_ids]
        lift_labels(model, label_ids, of_split(encoded, "train"), pad_id=pad_id)

        def validate() -> dict[str, float]:
            found = probabilities_of(model, encoded, "validation", pad_id=pad_id)
            return mean_scores(encoded, "validation", found)

        result = train(
            model,
            TrainingData(
                of_split(encoded, "train"), _SoftTargets(labels, vocabulary, how.temperature)
            ),
            settings_from(how),
            evaluate=validate,
            state_folder=state_folder,
            fingerprint=fingerprint,
            pad_id=pad_id,
            vocabulary=len(student_tokenizer),
            description=f"Distilling {settings.name}",
        )
        test = probabilities_of(model, encoded, "test", pad_id=pad_id)
        write_predictions(folder / PREDICTIONS, encoded, "test", test)
        model.to(stored_dtype(folder)).save_pretrained(folder)
        student_tokenizer.save_pretrained(folder)
    return DistillationReport(
        test=mean_scores(encoded, "test", test),
        training=result,
        vocabulary=len(student_tokenizer),
        teacher_vocabulary=len(tokenizer),
    )


class _SoftTargets:
    """Soft labels of examples, renamed to the student's token ids."""

    def __init__(
        self, store: LabelStore, vocabulary: PrunedVocabulary | None, temperature: float
    ) -> None:
        import torch

        self.store, self.temperature = store, temperature
        self.mapping = None
        if vocabulary is not None:
            self.mapping = torch.as_tensor(vocabulary.teacher_to_student)

    def __call__(self, examples: Sequence[Example]) -> SparseTargets:
        records = LabelRecords.concatenate([self.store.get(e.key) for e in examples])
        targets = decode(records, self.temperature)
        return targets if self.mapping is None else targets.remap(self.mapping)
