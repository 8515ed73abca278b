from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from stillhouse.config.teacher import SoftLabels
from stillhouse.lm.tasks import TaskData, encode_task
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.soft_labels.codec import decode
from stillhouse.soft_labels.store import LabelStore
from stillhouse.teacher.labelling import LabellingReport, label_pairs

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPERATURE = 2.0
Labeller = partial[tuple[LabelStore, LabellingReport]]


@pytest.fixture
def label(short_teacher: Path, routing: TaskData, tmp_path: Path) -> Callable[..., Labeller]:
    def with_settings(**settings: object) -> Labeller:
        return partial(
            label_pairs,
            short_teacher,
            tmp_path / "labels",
            [routing],
            SoftLabels.model_validate(settings),
            [TEMPERATURE],
            fingerprint="teacher",
            tokenizer_fingerprint="tokenizer",
            max_tokens=64,
            top_layers=1,
            cache=tmp_path / "trunk",
        )

    return with_settings


@pytest.fixture(scope="module")
def expected(short_teacher: Path, routing: TaskData) -> dict[str, torch.Tensor]:
    """softmax(logits / T) [vocabulary] where each pair's label is predicted, one pair at a time."""
    model = load_model(short_teacher, torch.device("cpu"), torch.float32)
    found = {}
    for example in encode_task(load_tokenizer(short_teacher), routing, max_tokens=64).examples[
        "train"
    ]:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([example.ids[:-1]])).logits[0, -1]
        found[example.key] = (logits / TEMPERATURE).softmax(0)
    return found


def test_a_k_beyond_the_vocabulary_keeps_the_whole_distribution(
    label: Callable[..., Labeller], expected: dict[str, torch.Tensor]
) -> None:
    store, report = label(encoding="top_k", k=10**6, shard_pairs=2)()
    assert (report.pairs_labelled, report.tokens) == (5, 5)
    assert len(list(store.folder.iterdir())) == 3
    for key, probabilities in expected.items():
        targets = decode(store.get(key), TEMPERATURE)
        assert targets.ids.shape == (1, len(probabilities))
        assert float(targets.tail) < 1e-6
        found = torch.zeros_like(probabilities).scatter(0, targets.ids[0], targets.probs[0])
        torch.testing.assert_close(found, probabilities, rtol=1e-3, atol=1e-6)


def test_top_k_keeps_the_likeliest_and_the_mass_of_the_others(
    label: Callable[..., Labeller], expected: dict[str, torch.Tensor]
) -> None:
    store, report = label(encoding="top_k", k=4)()
    assert report.mean_tail > 0.01  # else this would not show that the tail is kept
    for key, probabilities in expected.items():
        targets = decode(store.get(key), TEMPERATURE)
        kept = probabilities.topk(4)
        assert targets.ids[0].tolist() == kept.indices.tolist()
        torch.testing.assert_close(targets.probs[0], kept.values, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(targets.tail[0], 1 - kept.values.sum(), rtol=1e-3, atol=1e-5)


def test_sampled_labels_take_at_most_three_bytes_a_draw(label: Callable[..., Labeller]) -> None:
    _, report = label(encoding="sampled", draws=12)()
    assert 3 * report.tokens <= report.bytes <= 36 * report.tokens


def test_labels_keep_the_classes_among_each_other(
    label: Callable[..., Labeller],
    expected: dict[str, torch.Tensor],
    short_teacher: Path,
    routing: TaskData,
) -> None:
    store, report = label(encoding="labels")()
    class_ids = load_tokenizer(short_teacher).convert_tokens_to_ids(list(routing.tokens))
    assert report.bytes == report.tokens * len(class_ids) * 4
    for key, probabilities in expected.items():
        targets = decode(store.get(key), TEMPERATURE)
        assert targets.ids.tolist() == [class_ids]
        among = probabilities[class_ids] / probabilities[class_ids].sum()
        torch.testing.assert_close(targets.probs[0], among, rtol=1e-3, atol=1e-6)
        assert float(targets.tail) == 0.0


def test_pairs_once_labelled_are_not_labelled_again(label: Callable[..., Labeller]) -> None:
    labeller = label(encoding="top_k", k=4, shard_pairs=2)
    store, _ = labeller()
    written = {file: file.stat().st_mtime_ns for file in store.folder.iterdir()}
    lost = sorted(written)[0]
    lost.unlink()
    _, report = labeller()
    assert 1 <= report.pairs_labelled <= 2
    assert report.pairs_labelled + report.pairs_reused == 5
    del written[lost]
    assert all(file.stat().st_mtime_ns == time for file, time in written.items())
