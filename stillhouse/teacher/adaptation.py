"""A teacher learns the tasks before it labels: LoRA on its top layers, merged afterwards.

LoRA: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.teacher import Adaptation
from stillhouse.evaluate.predictions import mean_scores, probabilities_of, write_predictions
from stillhouse.lm.labels import add_label_tokens
from stillhouse.lm.scoring import Embeddings, lift_labels, name_probabilities
from stillhouse.lm.tasks import EncodedTask, TaskData, encode_task, of_split
from stillhouse.models.loading import (
    load_model,
    load_tokenizer,
    output_weight,
    pick_device,
    pick_dtype,
    stored_dtype,
)
from stillhouse.storage.files import atomic_dir
from stillhouse.teacher.trunk import Trunk, fits_cache, upper_part
from stillhouse.training.loop import (
    TrainingData,
    TrainingResult,
    settings_from,
    train,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PREDICTIONS = "predictions.parquet"
ZERO_SHOT_PREDICTIONS = "predictions_zero_shot.parquet"


@dataclass(frozen=True)
class AdaptationReport:
    """Mean scores on the test split before and after, and the learning curve."""

    zero_shot: dict[str, float]
    adapted: dict[str, float]
    training: TrainingResult


@dataclass(frozen=True)
class TeacherParts:
    """A teacher ready to run: what to call, and with which inputs.

    `trained` is the model to train, score and label with: the upper layers fed with `embeddings`
    where the lower ones' hidden states are cached, else the whole model fed with token ids.
    """

    whole: PreTrainedModel
    trained: PreTrainedModel
    embeddings: Embeddings | None


def split_teacher(
    model: PreTrainedModel,
    examples: Sequence[EncodedTask],
    splits: Sequence[str],
    *,
    top_layers: int,
    cache: Path,
    pad_id: int,
) -> TeacherParts:
    """Cut `model` below its `top_layers`, when the hidden states there fit the cache."""
    chosen = [e for split in splits for e in of_split(examples, split)]
    lower = model.config.num_hidden_layers - top_layers
    if lower <= 0 or not fits_cache(model, chosen):
        return TeacherParts(model, model, None)
    trunk = Trunk(model, lower, cache / str(lower), pad_id=pad_id)
    trunk.prepare(chosen)
    return TeacherParts(model, upper_part(model, lower), trunk)


def adapt_teacher(
    weights: Path,
    target: Path,
    tasks: Sequence[TaskData],
    settings: Adaptation,
    *,
    state_folder: Path,
    cache: Path,
    fingerprint: str,
) -> AdaptationReport:
    """Write the adapted teacher (safetensors, tokenizer with label tokens) to `target`.

    Beside the weights lie its predictions, and the zero-shot ones, on the test split. With
    `method: none` only the label tokens are added. `cache` holds hidden states of the frozen
    layers; its name should say which weights they are from. Resumes after a kill.
    """
    device = pick_device()
    model = load_model(weights, device, pick_dtype(device))
    tokenizer = load_tokenizer(weights)
    for task in tasks:
        add_label_tokens(model, tokenizer, task.tokens)
    encoded = [encode_task(tokenizer, t, max_tokens=settings.max_tokens) for t in tasks]
    pad_id = tokenizer.pad_token_id
    with atomic_dir(target) as folder:
        zero_shot = _zero_shot(model, tokenizer, encoded)
        write_predictions(folder / ZERO_SHOT_PREDICTIONS, encoded, "test", zero_shot)
        parts = split_teacher(
            model,
            encoded,
            ("train", "validation", "test"),
            top_layers=settings.layers,
            cache=cache,
            pad_id=pad_id,
        )
        result = TrainingResult()
        if settings.method == "lora":
            result = _train_lora(parts, encoded, settings, state_folder, fingerprint, tokenizer)
        adapted = probabilities_of(
            parts.trained, encoded, "test", pad_id=pad_id, embeddings=parts.embeddings
        )
        write_predictions(folder / PREDICTIONS, encoded, "test", adapted)
        # Stored as wide as the weights came; their last bits are not worth twice the disk.
        model.to(stored_dtype(weights)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return AdaptationReport(
        zero_shot=mean_scores(encoded, "test", zero_shot),
        adapted=mean_scores(encoded, "test", adapted),
        training=result,
    )


def _zero_shot(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tasks: Sequence[EncodedTask]
) -> dict:
    return {
        t.task.name: name_probabilities(model, tokenizer, t.examples["test"], t.task.labels)
        for t in tasks
    }


def _train_lora(
    parts: TeacherParts,
    tasks: Sequence[EncodedTask],
    settings: Adaptation,
    state_folder: Path,
    fingerprint: str,
    tokenizer: PreTrainedTokenizerBase,
) -> TrainingResult:
    from peft import LoraConfig, get_peft_model

    pad_id = tokenizer.pad_token_id
    layers = parts.trained.config.num_hidden_layers
    top = None  # an upper part is trained as a whole
    if parts.embeddings is None:
        top = list(range(max(0, layers - settings.layers), layers))
    lora = get_peft_model(
        parts.trained,
        LoraConfig(
            r=settings.rank,
            lora_alpha=2 * settings.rank,
            target_modules="all-linear",
            layers_to_transform=top,
            task_type="CAUSAL_LM",
        ),
    )
    model = lora.get_base_model()
    label_ids = [i for t in tasks for i in t.label_ids]
    lift_labels(
        model, label_ids, of_split(tasks, "train"), pad_id=pad_id, embeddings=parts.embeddings
    )
    rows = _LabelRows(model, label_ids)

    def validate() -> dict[str, float]:
        rows.store()
        found = probabilities_of(
            model, tasks, "validation", pad_id=pad_id, embeddings=parts.embeddings
        )
        return mean_scores(tasks, "validation", found)

    result = train(
        model,
        TrainingData(of_split(tasks, "train"), embeddings=parts.embeddings, head=rows.head),
        settings_from(settings),
        evaluate=validate,
        state_folder=state_folder,
        fingerprint=fingerprint,
        pad_id=pad_id,
        vocabulary=len(tokenizer),
        description="Adapting the teacher",
    )
    rows.store()
    rows.remove()
    lora.merge_and_unload()
    return result


class _LabelRows:
    """The label tokens' rows of an embedding that is frozen otherwise, as a parameter.

    Without them, the layers would first have to learn to point at directions of the embedding
    that no text ever asked for.
    """

    NAME = "label_rows"

    def __init__(self, model: PreTrainedModel, label_ids: Sequence[int]) -> None:
        import torch

        self.model, self.weight = model, output_weight(model)
        self.ids = torch.tensor(label_ids, device=self.weight.device)
        start = self.weight[self.ids].detach().float().clone()
        self.rows = torch.nn.Parameter(start)
        model.register_parameter(self.NAME, self.rows)

    def head(self) -> torch.Tensor:
        """The whole output embedding, with gradients for the label rows alone."""
        return self.weight.index_copy(0, self.ids, self.rows.to(self.weight.dtype))

    def store(self) -> None:
        """Write the rows as they are now into the model's embedding."""
        import torch

        with torch.no_grad():
            self.weight[self.ids] = self.rows.to(self.weight.dtype)

    def remove(self) -> None:
        delattr(self.model, self.NAME)
