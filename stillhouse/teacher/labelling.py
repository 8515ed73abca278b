"""Soft labels of the training pairs: what the teacher thinks of every response token."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.dataset import Task
from stillhouse.config.teacher import SoftLabels
from stillhouse.errors import UserError
from stillhouse.facts import SoftLabelsFacts
from stillhouse.lm.batches import collate, plan_batches, response_hidden
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.importing import tokenizer_fingerprint
from stillhouse.models.loading import (
    context_length,
    load_model,
    load_tokenizer,
    output_weight,
    pick_device,
    pick_dtype,
)
from stillhouse.progress import track
from stillhouse.soft_labels.codec import (
    LabelEncoding,
    LabelRecords,
    encode_label_distribution,
    encode_sampled,
    encode_top_k,
)
from stillhouse.soft_labels.store import LabelStore, ShardHeader, open_store
from stillhouse.storage.files import digest
from stillhouse.tasks.common import (
    answer_ids,
    answers_in_words,
    prompts_of,
    rows_of,
    training_examples,
)
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.prompting import Prompter
from stillhouse.teacher.adaptation import TeacherParts, split_teacher

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def encoding_of(
    settings: SoftLabels, temperatures: Sequence[float], answers: Sequence[int], vocabulary: int
) -> LabelEncoding:
    """What the shards hold; a `k` beyond the teacher's `vocabulary` means all of it.

    Sampled labels follow one temperature: the students' only one.
    """
    if settings.encoding == "top_k":
        k = min(settings.k, vocabulary)
        return LabelEncoding("top_k", k, tuple(sorted(temperatures)))
    if settings.encoding == "sampled":
        return LabelEncoding("sampled", settings.draws, tuple(temperatures))
    return LabelEncoding("label_distribution", len(answers), label_ids=tuple(answers))


def label_pairs(
    teacher: Path,
    folder: Path,
    dataset: Path,
    tasks: Sequence[Task],
    settings: SoftLabels,
    temperatures: Sequence[float],
    *,
    teacher_digest: str,
    max_tokens: int,
    top_layers: int | None,
    cache: Path,
) -> SoftLabelsFacts:
    """Label the training pairs that have no soft label yet, below `folder`.

    Shards of `shard_pairs` pairs are written as they are finished, so a killed run loses at most
    one. `teacher` is the adapted teacher's folder; `teacher_digest` stands for its content and for
    whatever else shapes a label, beside the encoding. What other teachers or encodings left in
    `folder`, and labels of pairs that are gone, is removed.

    A teacher that was left as it came answers in words; raises `UserError` when its answers are to
    be encoded as tokens.
    """
    in_words = answers_in_words(teacher)
    if in_words and settings.encoding not in (None, "labels"):
        raise UserError(
            f"soft_labels.encoding: {settings.encoding} keeps the teacher's next tokens, but a "
            "teacher with `adapt: {method: none}` answers in words",
            remedy="set `soft_labels.encoding: labels`, or adapt the teacher "
            "(`teachers[].adapt.method: lora`).",
        )
    tokenizer = load_tokenizer(teacher)
    kinds = open_tasks(dataset, tasks)
    encoder = Encoder(tokenizer, max_tokens)
    training = [training_examples(k, dataset, encoder) for k in kinds]
    examples = [e for split in training for e in split.examples]
    # Answers of all tasks: one distribution then serves pairs of any of them.
    answers = answer_ids(kinds, tokenizer)
    encoding = encoding_of(settings, temperatures, answers, len(tokenizer))
    store = open_store(
        folder, ShardHeader(teacher_digest, tokenizer_fingerprint(teacher), encoding)
    )
    store.keep_only(e.key for e in examples)
    missing = set(store.missing(e.key for e in examples))
    if missing:
        device = pick_device()
        model = load_model(teacher, device, pick_dtype(device))
        if in_words:
            prompters = [
                Prompter(
                    encoder, in_words.prompt, kind, dataset, context_length(teacher),
                    in_words.vocabulary,
                )
                for kind in kinds
            ]  # fmt: skip
            shards = _label_in_words(model, prompters, missing, encoding, settings)
        else:
            # Validation too: what the adaptation cached of it stays.
            held = [
                e for k in kinds for e in prompts_of(k, dataset, "validation", encoder).examples
            ]
            parts = split_teacher(
                model,
                [*examples, *held],
                top_layers=top_layers,
                cache=cache,
                pad_id=tokenizer.pad_token_id,
            )
            todo = [e for e in examples if e.key in missing]
            shards = _label(parts, encoder, todo, encoding, settings)
        for labels in shards:
            store.write(labels)
    for other in folder.iterdir():
        if other.is_dir() and other != store.folder:
            shutil.rmtree(other, ignore_errors=True)
    return _facts(store, [e.key for e in examples], len(missing), temperatures)


def _shards(examples: list[Example], size: int) -> Iterator[list[Example]]:
    ordered = sorted(examples, key=lambda e: (-len(e.ids), e.key))
    shards = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    yield from track(shards, "Labelling", unit="shards")


def _label(
    parts: TeacherParts,
    encoder: Encoder,
    todo: list[Example],
    encoding: LabelEncoding,
    settings: SoftLabels,
) -> Iterator[dict[str, LabelRecords]]:
    import torch

    model = parts.trained
    weight = output_weight(model)
    vocabulary = len(encoder.tokenizer)  # an embedding padded beyond it holds no tokens
    for examples in _shards(todo, settings.shard_pairs):
        found: dict[str, LabelRecords] = {}
        for indices in plan_batches([len(e.ids) for e in examples], settings.batch_size):
            chosen = [examples[i] for i in indices]
            batch = collate(
                chosen,
                pad_id=encoder.tokenizer.pad_token_id,
                device=model.device,
                embeddings=parts.embeddings(chosen) if parts.embeddings else None,
            )
            with torch.inference_mode():
                logits = response_hidden(model, batch) @ weight.T
                records = _encode(logits, encoding, vocabulary, chosen)
            lengths = [len(e.response_ids) for e in chosen]
            found.update(zip((e.key for e in chosen), records.split(lengths), strict=True))
        yield found


def _label_in_words(
    model: PreTrainedModel,
    prompters: Sequence[Prompter],
    missing: set[str],
    encoding: LabelEncoding,
    settings: SoftLabels,
) -> Iterator[dict[str, LabelRecords]]:
    """The distribution over the answers in words, as one over the tokens that stand for them.

    Answers of other tasks get no probability.
    """
    import numpy as np
    import torch

    start = 0
    for prompter in prompters:
        kind = prompter.kind
        width = len(kind.answer_tokens)
        training = rows_of(prompter.dataset, kind.task.name, "train")
        todo = [row for rows in training for row in rows if row["pair_id"] in missing]
        todo.sort(key=lambda row: -len(row["input"]))
        shards = [
            todo[i : i + settings.shard_pairs] for i in range(0, len(todo), settings.shard_pairs)
        ]
        for rows in track(shards, "Labelling in words", unit="shards"):
            found = kind.predict_untrained(model, prompter.prompts(rows))
            log_probs = np.full((len(rows), encoding.entries), -np.inf)
            with np.errstate(divide="ignore"):
                log_probs[:, start : start + width] = np.log(found)
            records = encode_label_distribution(torch.from_numpy(log_probs), encoding.label_ids)
            yield dict(
                zip((r["pair_id"] for r in rows), records.split([1] * len(rows)), strict=True)
            )
        prompter.warn()
        start += width


def _encode(
    logits: torch.Tensor,
    encoding: LabelEncoding,
    vocabulary: int,
    examples: Sequence[Example],
) -> LabelRecords:
    import torch

    if encoding.kind == "top_k":
        return encode_top_k(logits, encoding.entries, encoding.temperatures, valid_vocab=vocabulary)
    if encoding.kind == "label_distribution":
        return encode_label_distribution(logits, encoding.label_ids)
    # Seeded by the pairs, so that labelling again draws the same.
    seed = int(digest([e.key for e in examples])[:8], 16)
    return encode_sampled(
        logits,
        encoding.temperatures[0],
        draws=encoding.entries,
        generator=torch.Generator().manual_seed(seed),
        valid_vocab=vocabulary,
    )


def _facts(
    store: LabelStore, keys: Sequence[str], labelled: int, temperatures: Sequence[float]
) -> SoftLabelsFacts:
    """Figures and digests over all labels, one pair at a time."""
    import numpy as np
    from scipy.special import entr

    encoding = store.header.encoding
    content = Digests(encoding, temperatures)
    rows = size = 0
    tail = entropy = 0.0
    for key in sorted(keys):
        records = store.get(key)
        content.add(key, records)
        rows, size = rows + records.rows, size + records.nbytes
        if (tails := records.arrays.get("tails")) is not None:
            tail += float(tails.sum()) / len(encoding.temperatures)
        if (log_probs := records.arrays.get("log_probs")) is not None:
            entropy += float(entr(np.exp(log_probs)).sum())
    whole, by_temperature = content.found()
    return SoftLabelsFacts(
        digest=whole,
        digests=by_temperature,
        header=asdict(store.header),
        pairs_labelled=labelled,
        pairs_reused=len(keys) - labelled,
        tokens=rows,
        bytes=size,
        mean_tail=tail / rows,
        mean_entropy=entropy / rows,
    )


class Digests:
    """Digests of soft labels' content: of all of it, and of what decodes at each temperature.

    They differ for `top_k` alone, which holds a column for each temperature. Ids that all records
    share count as content.
    """

    def __init__(self, encoding: LabelEncoding, temperatures: Sequence[float]) -> None:
        self.encoding = encoding
        start = repr(encoding.label_ids).encode()
        self.whole = hashlib.sha256(start)
        self.apart = {float(t): hashlib.sha256(start) for t in temperatures}

    def add(self, key: str, records: LabelRecords) -> None:
        """Pairs must come in the order of their keys."""
        arrays: Mapping[str, object] = records.arrays
        self.whole.update(_bytes(key, arrays))
        if self.encoding.kind != "top_k":
            return
        for temperature, total in self.apart.items():
            column = records.arrays["tails"][:, self.encoding.temperatures.index(temperature)]
            total.update(_bytes(key, {**arrays, "tails": column}))

    def found(self) -> tuple[str, dict[str, str]]:
        whole = self.whole.hexdigest()[:20]
        if self.encoding.kind != "top_k":
            return whole, {str(t): whole for t in self.apart}
        return whole, {str(t): total.hexdigest()[:20] for t, total in self.apart.items()}


def _bytes(key: str, arrays: Mapping[str, object]) -> bytes:
    import numpy as np

    parts = [key.encode()]
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        parts += [f"\n{name} {array.dtype} {array.shape}\n".encode(), array.tobytes()]
    return b"".join(parts)
