"""Soft labels of the training pairs: what the teacher thinks of every response token."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.dataset import Encoding, Task
from stillhouse.config.teacher import SoftLabels
from stillhouse.endpoint.client import Access
from stillhouse.endpoint.remote import Remote, is_elsewhere, open_model
from stillhouse.facts import SoftLabelsFacts
from stillhouse.lm.batches import collate, plan_batches, response_hidden
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.importing import tokenizer_fingerprint
from stillhouse.models.loading import context_length, load_tokenizer, output_weight
from stillhouse.progress import track
from stillhouse.soft_labels.codec import encode
from stillhouse.soft_labels.figures import LabelFigures
from stillhouse.soft_labels.head import Head
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords
from stillhouse.soft_labels.sampled import require_room
from stillhouse.soft_labels.store import LabelStore, ShardHeader, open_store
from stillhouse.storage.files import digest, read_json
from stillhouse.tasks.common import Examples, prompts_of, training_examples
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.models import answer_ids, answers_in_words
from stillhouse.tasks.prompting import Prompter
from stillhouse.teacher.adaptation import TeacherParts, split_teacher
from stillhouse.teacher.in_words import label_in_words, rows_to_label
from stillhouse.teacher.told import label_elsewhere

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Found = dict[LabelEncoding, dict[str, LabelRecords]]
"""Records by encoding and pair."""


@dataclass(frozen=True)
class TaskLabels:
    """A task's training pairs as the teacher reads them, and the stores that keep their labels.

    Labels belong to response tokens: the prompts before them need not be the student's.
    """

    split: Examples
    encoding: Encoding
    stores: dict[LabelEncoding, LabelStore]

    @property
    def keys(self) -> list[str]:
        return [e.key for e in self.split.examples]

    def missing(self) -> set[str]:
        """Pairs that a store lacks."""
        return {key for store in self.stores.values() for key in store.missing(self.keys)}

    def write(self, found: Found) -> None:
        """Keep what the stores lack of these."""
        for encoding, labels in found.items():
            store = self.stores[encoding]
            store.write({key: labels[key] for key in store.missing(labels)})


def encodings_of(
    settings: SoftLabels,
    encoding: Encoding,
    temperatures: Sequence[float],
    *,
    answers: Sequence[int],
    vocabulary: int,
    width: int,
) -> list[LabelEncoding]:
    """What is kept of each pair: one record, or of `sampled` one drawn at each temperature.

    `vocabulary` and `width` (of the hidden states) are the teacher's; a `k` beyond the vocabulary
    means all of it. Raises `UserError` when it is too large for sampled labels.
    """
    if encoding == "labels":
        return [LabelEncoding("label_distribution", len(answers), label_ids=tuple(answers))]
    if encoding == "hidden":
        return [LabelEncoding("hidden", width)]
    if encoding == "top_k":
        return [LabelEncoding("top_k", min(settings.k, vocabulary), tuple(sorted(temperatures)))]
    require_room(vocabulary)
    return [LabelEncoding("sampled", settings.draws, (t,)) for t in sorted(temperatures)]


def label_pairs(
    teacher: Path,
    folder: Path,
    dataset: Path,
    tasks: Sequence[Task],
    settings: SoftLabels,
    temperatures: Sequence[float],
    *,
    softly: Set[str] | None = None,
    answered: Path | None = None,
    teacher_digest: str,
    max_tokens: int,
    top_layers: int | None,
    cache: Path,
    access: Access | None = None,
) -> SoftLabelsFacts:
    """Label the training pairs that have no soft label yet, below `folder`; those of the table
    `answered`, which the teacher answered itself, are among them. Of the tasks only those that are
    learned `softly` are labelled (None: all of them).

    Shards of `shard_pairs` pairs are written as they are finished, so a killed run loses at most
    one. `teacher` is the adapted teacher's folder; `teacher_digest` stands for its content and for
    whatever else shapes a label, beside the encodings. What other teachers or encodings left in
    `folder`, and labels of pairs that are gone, is removed.

    A teacher that was left as it came answers in words where a task's answers are few; of one that
    a server runs, reached by `access`, `top_k` labels are those that it tells. Raises `UserError`,
    before time is spent, as `encodings_of` does; and as `Remote` does.
    """
    in_words = answers_in_words(teacher)
    untrained = in_words is not None
    tokenizer = load_tokenizer(teacher)
    kinds = open_tasks(dataset, tasks)
    encoder = Encoder(tokenizer, max_tokens)
    # Answers of all tasks: one distribution then serves pairs of any of them.
    answers = answer_ids(kinds, tokenizer)
    # To an untrained teacher its answer tokens, the last to be added, mean nothing.
    vocabulary = min(answers) if untrained and answers else len(tokenizer)
    elsewhere = is_elsewhere(teacher)
    width = 0 if elsewhere else read_json(teacher / "config.json")["hidden_size"]
    fingerprint = tokenizer_fingerprint(teacher)
    stores: dict[LabelEncoding, LabelStore] = {}
    work = []
    chosen = [k for k in kinds if softly is None or k.task.name in softly]
    for kind in chosen:
        named = settings.encoding_of(kind.task, adapted=not untrained, elsewhere=elsewhere)
        encodings = encodings_of(
            settings, named, temperatures,
            answers=answers, vocabulary=vocabulary, width=width,
        )  # fmt: skip
        for encoding in encodings:
            if encoding not in stores:
                header = ShardHeader(teacher_digest, fingerprint, encoding)
                stores[encoding] = open_store(folder, header)
        split = training_examples(kind, dataset, encoder, answered)
        work.append(TaskLabels(split, named, {e: stores[e] for e in encodings}))
    for encoding, store in stores.items():
        store.keep_only(key for part in work if encoding in part.stores for key in part.keys)
    labelled = sum(len(part.missing()) for part in work)
    if labelled:
        model = open_model(teacher, access)
        prompters = []
        if in_words:
            context = context_length(teacher)
            prompters = [
                Prompter(encoder, in_words.prompt, kind, dataset, context, in_words.vocabulary)
                for kind in chosen
            ]
        _label_tasks_in_words(model, work, prompters, answered, settings)
        parts = model if isinstance(model, Remote) else TeacherParts(model, model, None)
        if not in_words and isinstance(parts, TeacherParts):
            # Validation and the other tasks too: what the adaptation cached of them stays.
            held = [prompts_of(k, dataset, "validation", encoder) for k in kinds]
            others = [training_examples(k, dataset, encoder) for k in kinds if k not in chosen]
            splits = [*(part.split for part in work), *held, *others]
            parts = split_teacher(
                parts.whole, [e for split in splits for e in split.examples],
                top_layers=top_layers, cache=cache, pad_id=tokenizer.pad_token_id,
            )  # fmt: skip
        for place, part in enumerate(work):
            missing = part.missing()
            todo = [e for e in part.split.examples if e.key in missing]
            if prompters and todo:
                # The same responses, after the prompts that the teacher is asked by.
                todo = prompters[place].pairs(rows_to_label(prompters[place], answered, missing))
            if isinstance(parts, Remote):
                labels = label_elsewhere(parts, todo, list(part.stores), settings)
            else:
                labels = label_examples(
                    parts, todo, list(part.stores), settings,
                    vocabulary=vocabulary, pad_id=tokenizer.pad_token_id,
                )  # fmt: skip
            for found in labels:
                part.write(found)
    folder.mkdir(parents=True, exist_ok=True)  # where nothing is learned softly, nothing made it
    for other in folder.iterdir():
        if other.is_dir() and other not in {store.folder for store in stores.values()}:
            shutil.rmtree(other, ignore_errors=True)
    return _facts(work, labelled, temperatures)


def _shards(examples: list[Example], size: int) -> Iterator[list[Example]]:
    ordered = sorted(examples, key=lambda e: (-len(e.ids), e.key))
    shards = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    yield from track(shards, "Labelling", unit="shards")


def label_examples(
    parts: TeacherParts,
    examples: list[Example],
    encodings: Sequence[LabelEncoding],
    settings: SoftLabels,
    *,
    vocabulary: int,
    pad_id: int,
) -> Iterator[Found]:
    """Labels of the response tokens of `examples`, whoever wrote what stands before them, among
    the teacher's first `vocabulary` tokens; a shard at a time."""
    import torch

    model = parts.trained
    head = Head(output_weight(model)[:vocabulary])
    for shard in _shards(examples, settings.shard_pairs):
        found: Found = {encoding: {} for encoding in encodings}
        for indices in plan_batches([len(e.ids) for e in shard], settings.batch_size):
            chosen = [shard[i] for i in indices]
            batch = collate(
                chosen,
                pad_id=pad_id,
                device=model.device,
                embeddings=parts.embeddings(chosen) if parts.embeddings else None,
            )
            with torch.inference_mode():
                hidden = response_hidden(model, batch)
                kept = encode(hidden, head, encodings, shifts=_shifts(chosen))
            lengths = [len(e.response_ids) for e in chosen]
            for encoding, records in zip(encodings, kept, strict=True):
                pieces = records.split(lengths)
                found[encoding].update(zip((e.key for e in chosen), pieces, strict=True))
        yield found


def _shifts(examples: Sequence[Example]) -> torch.Tensor:
    """Random numbers [response tokens] for `encode_sampled`, seeded by the pairs alone: labelling
    again draws the same, in whatever batches."""
    import torch

    found = []
    for example in examples:
        generator = torch.Generator().manual_seed(int(digest(example.key)[:8], 16))
        rows = len(example.response_ids)
        found.append(torch.rand(rows, generator=generator, dtype=torch.float64))
    return torch.cat(found)


def _label_tasks_in_words(
    model: PreTrainedModel | Remote,
    work: Sequence[TaskLabels],
    prompters: Sequence[Prompter],
    answered: Path | None,
    settings: SoftLabels,
) -> None:
    """Label the pairs of tasks whose answers an untrained teacher gives in words; all are kept
    alike, in one store."""
    few = [part for part in work if part.split.kind.answer_tokens] if prompters else []
    if not few:
        return
    ((encoding, store),) = few[0].stores.items()
    missing = {key for part in few for key in part.missing()}
    for labels in label_in_words(model, prompters, missing, answered, encoding, settings):
        store.write(labels)


def _facts(
    work: Sequence[TaskLabels], labelled: int, temperatures: Sequence[float]
) -> SoftLabelsFacts:
    """Figures and digests over all labels, one pair at a time."""
    figures = LabelFigures(temperatures)
    stores = {e: store for part in work for e, store in part.stores.items()}
    for encoding, store in stores.items():
        figures.add(store, [k for part in work if encoding in part.stores for k in part.keys])
    examples = [e for part in work for e in part.split.examples]
    return SoftLabelsFacts(
        digest=figures.digest,
        digests=figures.digests,
        headers=[asdict(store.header) for store in stores.values()],
        encodings={part.split.kind.task.name: part.encoding for part in work},
        pairs_labelled=labelled,
        pairs_reused=len(examples) - labelled,
        tokens=sum(len(e.response_ids) for e in examples),
        bytes=figures.bytes,
        mean_tail=figures.tail / figures.tailed if figures.tailed else None,
        mean_entropy=figures.entropy / figures.measured if figures.measured else None,
    )
