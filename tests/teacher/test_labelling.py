from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from stillhouse.config import SoftLabels
from stillhouse.lm.labels import add_label_tokens
from stillhouse.lm.models import load_model, load_tokenizer
from stillhouse.lm.prompts import label_token
from stillhouse.lm.tasks import TaskData, encode_task, tasks_of
from stillhouse.student.initialise import cut_student
from stillhouse.teacher.label_codec import decode
from stillhouse.teacher.label_shards import LabelStore
from stillhouse.teacher.labelling import LabellingReport, label_pairs

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPERATURE = 2.0
TEXTS = {
    "billing": ["I was charged twice.", "Where is my invoice for May?"],
    "hardware": ["The screen stays dark.", "My keyboard has lost its Z.", "It smells of smoke!"],
}
Labeller = partial[tuple[LabelStore, LabellingReport]]


@pytest.fixture(scope="module")
def task() -> TaskData:
    rows = [
        {
            "pair_id": f"{label}-{i}",
            "task": "routing",
            "label": label,
            "instruction": "Name the department.",
            "input": text,
            "response": label_token("routing", label),
            "split": "train",
        }
        for label, texts in TEXTS.items()
        for i, text in enumerate(texts)
    ]
    return tasks_of(rows)[0]


@pytest.fixture(scope="module")
def teacher(smollm2_folder: Path, task: TaskData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three layers of the real teacher, with label tokens."""
    folder = tmp_path_factory.mktemp("teacher") / "cut"
    cut_student(smollm2_folder, layers=3, vocabulary=None, target=folder)
    model = load_model(folder, torch.device("cpu"), torch.float32)
    tokenizer = load_tokenizer(folder)
    add_label_tokens(model, tokenizer, task.tokens)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def label(teacher: Path, task: TaskData, tmp_path: Path) -> Callable[..., Labeller]:
    def with_settings(**settings: object) -> Labeller:
        return partial(
            label_pairs,
            teacher,
            tmp_path / "labels",
            [task],
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
def expected(teacher: Path, task: TaskData) -> dict[str, torch.Tensor]:
    """softmax(logits / T) [vocabulary] where each pair's label is predicted, one pair at a time."""
    model = load_model(teacher, torch.device("cpu"), torch.float32)
    found = {}
    for example in encode_task(load_tokenizer(teacher), task, max_tokens=64).examples["train"]:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([example.ids[:-1]])).logits[0, -1]
        found[example.key] = (logits / TEMPERATURE).softmax(0)
    return found


def test_a_k_beyond_the_vocabulary_keeps_the_whole_distribution(
    label: Callable[..., Labeller], expected: dict[str, torch.Tensor]
) -> None:
    store, report = label(k=10**6, shard_pairs=2)()
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
    store, report = label(k=4)()
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
    label: Callable[..., Labeller], expected: dict[str, torch.Tensor], teacher: Path, task: TaskData
) -> None:
    store, report = label(encoding="labels")()
    class_ids = load_tokenizer(teacher).convert_tokens_to_ids(list(task.tokens))
    assert report.bytes == report.tokens * len(class_ids) * 4
    for key, probabilities in expected.items():
        targets = decode(store.get(key), TEMPERATURE)
        assert targets.ids.tolist() == [class_ids]
        among = probabilities[class_ids] / probabilities[class_ids].sum()
        torch.testing.assert_close(targets.probs[0], among, rtol=1e-3, atol=1e-6)
        assert float(targets.tail) == 0.0


def test_pairs_once_labelled_are_not_labelled_again(label: Callable[..., Labeller]) -> None:
    labeller = label(k=4, shard_pairs=2)
    store, _ = labeller()
    written = {file: file.stat().st_mtime_ns for file in store.folder.iterdir()}
    lost = sorted(written)[0]
    lost.unlink()
    _, report = labeller()
    assert 1 <= report.pairs_labelled <= 2
    assert report.pairs_labelled + report.pairs_reused == 5
    del written[lost]
    assert all(file.stat().st_mtime_ns == time for file, time in written.items())
