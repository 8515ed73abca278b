"""A teacher learns the tasks before it labels: LoRA on its top layers, merged afterwards.

LoRA: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.dataset import Task
from stillhouse.config.teacher import Adaptation, TeacherPrompt
from stillhouse.endpoint.client import Access
from stillhouse.facts import AdaptedTeacherFacts
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.lm.scoring import Embeddings, lift_tokens
from stillhouse.lm.tokens import add_tokens
from stillhouse.models.importing import describe
from stillhouse.models.loading import (
    context_length,
    load_model,
    load_tokenizer,
    output_weight,
    pick_device,
    pick_dtype,
    stored_dtype,
)
from stillhouse.tasks.common import Examples, prompts_of, require_splits, training_examples
from stillhouse.tasks.kinds import kind_of, open_tasks
from stillhouse.tasks.lengths import tell_what_is_cut
from stillhouse.tasks.models import (
    Validation,
    answer_ids,
    gold_of_written,
    mean_figures,
    mean_score,
)
from stillhouse.tasks.prompting import Prompter
from stillhouse.teacher.trunk import Trunk, fits_cache, upper_part
from stillhouse.teacher.unadapted import leave_as_it_came
from stillhouse.training.loop import TrainingResult, train
from stillhouse.training.objective import TrainedRows
from stillhouse.training.step import TrainingData

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class TeacherParts:
    """A teacher ready to run: what to call, and with which inputs.

    `trained` is the model to train, score and label with: the upper layers fed with `embeddings`
    where the lower ones' hidden states are cached, else the whole model fed with token ids.
    """

    whole: PreTrainedModel
    trained: PreTrainedModel
    embeddings: Embeddings | None


TOP_LAYERS = 8


def trained_layers(settings: Adaptation, tasks: Sequence[Task]) -> int | None:
    """How many of the top layers learn; None is all.

    A class is a matter of the last layers, over a frozen trunk that runs once for all epochs. To
    write an answer out, every layer has to learn: on SNIPS (1,000 gold requests) field F1 was 0.83
    with all layers after two epochs, 0.73 with ten of thirty after three, at 1.4 times the cost.
    """
    if settings.layers is not None:
        return None if settings.layers == "all" else settings.layers
    return TOP_LAYERS if all(kind_of(task).countable for task in tasks) else None


def split_teacher(
    model: PreTrainedModel,
    examples: Sequence[Example],
    *,
    top_layers: int | None,
    cache: Path,
    pad_id: int,
) -> TeacherParts:
    """Cut `model` below its `top_layers`, when the hidden states there fit the cache; None is all
    of them."""
    layers = model.config.num_hidden_layers
    lower = 0 if top_layers is None else layers - top_layers
    if lower <= 0 or not fits_cache(model, examples):
        return TeacherParts(model, model, None)
    trunk = Trunk(model, lower, cache / str(lower), pad_id=pad_id)
    trunk.prepare(examples)
    return TeacherParts(model, upper_part(model, lower), trunk)


def adapt_teacher(
    weights: Path,
    target: Path,
    dataset: Path,
    tasks: Sequence[Task],
    settings: Adaptation,
    *,
    scratch: Path,
    cache: Path,
    fingerprint: str,
    prompt: TeacherPrompt | None = None,
    access: Access | None = None,
) -> AdaptedTeacherFacts:
    """Fill `target` with the adapted teacher: safetensors, and a tokenizer with answer tokens.

    With `method: none` the answer tokens are only added, and a file beside the weights says how
    this teacher is asked, in words, by `prompt` (see teacher/unadapted.py). The same training and
    validation pairs, settings and weights give the same bytes; the test split is never read.
    `cache` holds hidden states of the frozen layers; its name should say which weights they are
    from. Resumes after a kill from `scratch`. `access` is that of a teacher which a server runs.

    Raises `UserError` when a split of a task is empty; and as `Prompter` does, because a report
    asks the weights as they came.
    """
    require_splits(dataset, tasks)
    kinds, prompt = open_tasks(dataset, tasks), prompt or TeacherPrompt()
    if settings.method == "none":
        return leave_as_it_came(weights, target, dataset, kinds, prompt, access)
    tokenizer = load_tokenizer(weights)
    encoder = Encoder(tokenizer, settings.max_tokens)
    for kind in kinds:
        Prompter(encoder, prompt.without_shots(), kind, dataset, context_length(weights))
    device = pick_device()
    model = load_model(weights, device, pick_dtype(device))
    for kind in kinds:
        add_tokens(model, tokenizer, kind.answer_tokens)
    encoder = Encoder(tokenizer, settings.max_tokens)  # knows the answer tokens now
    validation = [prompts_of(k, dataset, "validation", encoder) for k in kinds]
    followed = gold_of_written(kinds, dataset, "validation", encoder)
    training = [training_examples(k, dataset, encoder) for k in kinds]
    for split in training:
        tell_what_is_cut(split, settings.max_tokens, "teachers[].adapt.max_tokens")
    # What is written out is written by the whole model: its prompts alone are fed to no part.
    chosen = [split.examples for split in validation if split.kind.answer_tokens]
    fed = [*(split.examples for split in training), *chosen, *followed.values()]
    parts = split_teacher(
        model,
        [e for examples in fed for e in examples],
        top_layers=trained_layers(settings, tasks),
        cache=cache,
        pad_id=tokenizer.pad_token_id,
    )
    validated = Validation(
        parts.trained, encoder, validation, followed, embeddings=parts.embeddings, whole=parts.whole
    )
    result = _train_lora(
        parts, training, validated, settings, encoder, scratch=scratch, fingerprint=fingerprint
    )
    scored = validated.of_best(result.epochs_since_best)
    computed_in = str(parts.whole.dtype)  # before it is cast to what is stored
    model.to(stored_dtype(weights)).save_pretrained(target)
    tokenizer.save_pretrained(target)
    info = describe(target)
    return AdaptedTeacherFacts(
        digest=info.fingerprint,
        method=settings.method,
        parameters=info.parameters,
        bytes=info.bytes,
        score=mean_score(scored),
        chance=sum(split.kind.chance(split.gold) for split in validation) / len(validation),
        scores=mean_figures(scored),
        by_task={k.task.name: found.score for k, found in zip(kinds, scored, strict=True)},
        best_epoch=result.best_epoch,
        stopped_early=result.stopped_early,
        history=result.history,
        tokens_per_epoch=sum(len(e.ids) for split in training for e in split.examples),
        computed_in=computed_in.removeprefix("torch."),
    )


def _train_lora(
    parts: TeacherParts,
    training: Sequence[Examples],
    validated: Validation,
    settings: Adaptation,
    encoder: Encoder,
    *,
    scratch: Path,
    fingerprint: str,
) -> TrainingResult:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(settings.seed)  # LoRA's first matrices are random
    pad_id, dtype = encoder.tokenizer.pad_token_id, parts.whole.dtype
    # An upper part is trained as a whole; of a whole model, its top layers.
    layers = trained_layers(settings, [split.kind.task for split in training])
    top = layers if parts.embeddings is None else None
    lora = get_peft_model(
        parts.trained,
        LoraConfig(
            r=settings.rank,
            lora_alpha=2 * settings.rank,
            target_modules=_linear_modules(parts.trained, top),
            task_type="CAUSAL_LM",
        ),
    )
    model = lora.get_base_model()
    examples = [e for split in training for e in split.examples]
    ids = answer_ids([split.kind for split in training], encoder.tokenizer)
    lift_tokens(model, ids, examples, pad_id=pad_id, embeddings=parts.embeddings)
    rows = _AnswerRows(model, ids)

    def validate() -> dict[str, float]:
        rows.stored()
        return validated.of_epoch()

    result = train(
        model,
        TrainingData(examples, embeddings=parts.embeddings, rows=rows.stored),
        settings,
        evaluate=validate,
        state_folder=scratch,
        fingerprint=fingerprint,
        pad_id=pad_id,
        vocabulary=len(encoder.tokenizer),
        description="Adapting the teacher",
        dtype=dtype,
    )
    rows.stored()
    rows.remove()
    lora.merge_and_unload()
    return result


def _linear_modules(model: PreTrainedModel, top: int | None) -> list[str]:
    """Names of the linear modules in the decoder's layers, or in its `top` ones."""
    import torch

    layers = model.base_model.layers
    first = 0 if top is None else max(0, len(layers) - top)
    prefix = f"{model.base_model_prefix}.layers"
    return [
        f"{prefix}.{number}.{name}"
        for number in range(first, len(layers))
        for name, module in layers[number].named_modules()
        if isinstance(module, torch.nn.Linear)
    ]


class _AnswerRows:
    """The answer tokens' rows of an embedding that is frozen otherwise, as a parameter.

    Without them, the layers would first have to learn to point at directions of the embedding
    that no text ever asked for.
    """

    NAME = "answer_rows"

    def __init__(self, model: PreTrainedModel, ids: Sequence[int]) -> None:
        import torch

        self.model, self.weight = model, output_weight(model)
        self.ids = torch.tensor(ids, dtype=torch.long, device=self.weight.device)
        start = self.weight[self.ids].detach().float().clone()
        self.rows = torch.nn.Parameter(start)
        model.register_parameter(self.NAME, self.rows)

    def stored(self) -> TrainedRows:
        """Themselves, written as they are now into the model's embedding."""
        import torch

        with torch.no_grad():
            self.weight[self.ids] = self.rows.to(self.weight.dtype)
        return TrainedRows(self.ids, self.rows)

    def remove(self) -> None:
        delattr(self.model, self.NAME)
