"""Soft labels of the training pairs: what the teacher thinks of every response token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.teacher import SoftLabels
from stillhouse.lm.batches import collate, plan_batches, response_hidden
from stillhouse.lm.prompts import Example
from stillhouse.lm.tasks import TaskData, encode_task, of_split
from stillhouse.models.loading import (
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
from stillhouse.soft_labels.store import LabelStore, ShardHeader
from stillhouse.storage.files import digest
from stillhouse.teacher.adaptation import TeacherParts, split_teacher

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class LabellingReport:
    """Pairs labelled now and found in the cache; tokens and bytes of all of them."""

    pairs_labelled: int
    pairs_reused: int
    tokens: int
    bytes: int
    mean_tail: float
    mean_entropy: float


def encoding_of(
    settings: SoftLabels, temperatures: Sequence[float], label_ids: Sequence[int], vocabulary: int
) -> LabelEncoding:
    """What the shards hold; a `k` beyond the teacher's `vocabulary` means all of it.

    Sampled labels follow one temperature: the students' only one.
    """
    if settings.encoding == "top_k":
        k = min(settings.k, vocabulary)
        return LabelEncoding("top_k", k, tuple(sorted(temperatures)))
    if settings.encoding == "sampled":
        return LabelEncoding("sampled", settings.draws, tuple(temperatures))
    return LabelEncoding("label_distribution", len(label_ids), label_ids=tuple(label_ids))


def open_store(folder: Path, header: ShardHeader) -> LabelStore:
    """The store for `header` below `folder`; other teachers' and encodings' lie beside it."""
    return LabelStore(folder / digest(header.to_json()), header)


def header_from(values: Mapping[str, Any]) -> ShardHeader:
    """The header whose `asdict`, through JSON, is `values`."""
    stored = values["encoding"]
    encoding = LabelEncoding(
        stored["kind"],
        stored["entries"],
        tuple(stored["temperatures"]),
        tuple(stored["label_ids"]),
    )
    return ShardHeader(values["teacher"], values["tokenizer"], encoding)


def label_pairs(
    teacher: Path,
    folder: Path,
    tasks: Sequence[TaskData],
    settings: SoftLabels,
    temperatures: Sequence[float],
    *,
    fingerprint: str,
    tokenizer_fingerprint: str,
    max_tokens: int,
    top_layers: int,
    cache: Path,
) -> tuple[LabelStore, LabellingReport]:
    """Label the training pairs that have no soft label yet; returns the store.

    Shards of `shard_pairs` pairs are written as they are finished, so a killed run loses at most
    one. `teacher` is the adapted teacher's folder, `fingerprint` that of its weights.
    """
    tokenizer = load_tokenizer(teacher)
    encoded = [encode_task(tokenizer, t, max_tokens=max_tokens) for t in tasks]
    examples = of_split(encoded, "train")
    # Classes of all tasks: one distribution then serves pairs of any of them.
    label_ids = [i for t in encoded for i in t.label_ids]
    encoding = encoding_of(settings, temperatures, label_ids, len(tokenizer))
    header = ShardHeader(fingerprint, tokenizer_fingerprint, encoding)
    store = open_store(folder, header)
    missing = set(store.missing(e.key for e in examples))
    if missing:
        device = pick_device()
        model = load_model(teacher, device, pick_dtype(device))
        parts = split_teacher(
            model,
            encoded,
            ("train",),
            top_layers=top_layers,
            cache=cache,
            pad_id=tokenizer.pad_token_id,
        )
        todo = [e for e in examples if e.key in missing]
        for shard in track(_shards(todo, settings.shard_pairs), "Labelling", unit="shards"):
            labels = _label(parts, shard, encoding, tokenizer, settings.batch_size)
            store.write(labels)
    return store, _report(store, examples, len(missing))


def _shards(examples: list[Example], size: int) -> list[list[Example]]:
    ordered = sorted(examples, key=lambda e: -len(e.ids))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def _label(
    parts: TeacherParts,
    examples: list[Example],
    encoding: LabelEncoding,
    tokenizer: PreTrainedTokenizerBase,
    batch_size: int,
) -> dict[str, LabelRecords]:
    import torch

    model = parts.trained
    found: dict[str, LabelRecords] = {}
    weight = output_weight(model)
    vocabulary = len(tokenizer)  # an embedding padded beyond it holds no tokens
    with torch.inference_mode():
        for indices in plan_batches([len(e.ids) for e in examples], batch_size):
            chosen = [examples[i] for i in indices]
            batch = collate(
                chosen,
                pad_id=tokenizer.pad_token_id,
                device=model.device,
                embeddings=parts.embeddings(chosen) if parts.embeddings else None,
            )
            logits = response_hidden(model, batch) @ weight.T
            records = _encode(logits, encoding, vocabulary, chosen)
            lengths = [len(e.response_ids) for e in chosen]
            found.update(zip((e.key for e in chosen), records.split(lengths), strict=True))
    return found


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


def _report(store: LabelStore, examples: Sequence[Example], labelled: int) -> LabellingReport:
    import numpy as np

    records = LabelRecords.concatenate([store.get(e.key) for e in examples])
    log_probs, tails = records.arrays.get("log_probs"), records.arrays.get("tails")
    entropy = 0.0 if log_probs is None else float(-(np.exp(log_probs) * log_probs).sum(1).mean())
    return LabellingReport(
        pairs_labelled=labelled,
        pairs_reused=len(examples) - labelled,
        tokens=records.rows,
        bytes=records.nbytes,
        mean_tail=0.0 if tails is None else float(tails.mean()),
        mean_entropy=entropy,
    )
