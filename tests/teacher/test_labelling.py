from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from stillhouse.config.dataset import Task
from stillhouse.config.teacher import Adaptation, SoftLabels, TeacherPrompt
from stillhouse.errors import UserError
from stillhouse.facts import SoftLabelsFacts
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.soft_labels.codec import decode
from stillhouse.soft_labels.store import LabelStore, header_from, open_store
from stillhouse.tasks.common import rows_of, training_examples
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.prompting import Prompter
from stillhouse.teacher.adaptation import adapt_teacher
from stillhouse.teacher.labelling import label_pairs

TEMPERATURE = 2.0
ASKED = TeacherPrompt(shots=2, choose="nearest", calibrate=True)
CPU = torch.device("cpu")
Pairs = list[dict[str, Any]]
Labeller = Callable[..., SoftLabelsFacts]
WriteDataset = Callable[[Path, Pairs], Path]


@pytest.fixture
def label(tiny_teacher: Path, routing: Task, routing_dataset: Path, tmp_path: Path) -> Labeller:
    def call(
        dataset: Path = routing_dataset,
        *,
        teacher: Path = tiny_teacher,
        digest: str = "teacher",
        tasks: list[Task] | None = None,
        temperatures: tuple[float, ...] = (TEMPERATURE,),
        folder: str = "labels",
        **settings: object,
    ) -> SoftLabelsFacts:
        return label_pairs(
            teacher,
            tmp_path / folder,
            dataset,
            tasks or [routing],
            SoftLabels.model_validate(settings),
            temperatures,
            teacher_digest=digest,
            max_tokens=64,
            top_layers=1,
            cache=tmp_path / "trunk",
        )

    return call


@pytest.fixture
def store(tmp_path: Path) -> Callable[[SoftLabelsFacts], LabelStore]:
    return lambda facts: open_store(tmp_path / "labels", header_from(facts.header))


@pytest.fixture(scope="module")
def expected(tiny_teacher: Path, routing: Task, routing_dataset: Path) -> dict[str, torch.Tensor]:
    """softmax(logits / T) [vocabulary] where each pair's answer is predicted, one at a time."""
    model = load_model(tiny_teacher, CPU, torch.float32)
    (kind,) = open_tasks(routing_dataset, [routing])
    encoder = Encoder(load_tokenizer(tiny_teacher), 64)
    found = {}
    for example in training_examples(kind, routing_dataset, encoder).examples:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([example.ids[:-1]])).logits[0, -1]
        found[example.key] = (logits / TEMPERATURE).softmax(0)
    return found


def test_a_k_beyond_the_vocabulary_keeps_the_whole_distribution(
    label: Labeller, store: Callable[..., LabelStore], expected: dict[str, torch.Tensor]
) -> None:
    facts = label(encoding="top_k", k=10**6, shard_pairs=2)
    assert (facts.pairs_labelled, facts.tokens) == (5, 5)
    found = store(facts)
    assert len(list(found.folder.iterdir())) == 3
    for key, probabilities in expected.items():
        targets = decode(found.get(key), TEMPERATURE)
        assert targets.ids.shape == (1, len(probabilities))
        assert float(targets.tail) < 1e-6
        whole = torch.zeros_like(probabilities).scatter(0, targets.ids[0], targets.probs[0])
        torch.testing.assert_close(whole, probabilities, rtol=1e-3, atol=1e-6)


def test_top_k_keeps_the_likeliest_and_the_mass_of_the_others(
    label: Labeller, store: Callable[..., LabelStore], expected: dict[str, torch.Tensor]
) -> None:
    facts = label(encoding="top_k", k=4)
    assert facts.mean_tail > 0.01  # else this would not show that the tail is kept
    for key, probabilities in expected.items():
        targets = decode(store(facts).get(key), TEMPERATURE)
        kept = probabilities.topk(4)
        assert targets.ids[0].tolist() == kept.indices.tolist()
        torch.testing.assert_close(targets.probs[0], kept.values, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(targets.tail[0], 1 - kept.values.sum(), rtol=1e-3, atol=1e-5)


def test_sampled_labels_take_at_most_three_bytes_a_draw(label: Labeller) -> None:
    facts = label(encoding="sampled", draws=12)
    assert 3 * facts.tokens <= facts.bytes <= 36 * facts.tokens


def test_labels_keep_the_answers_among_each_other(
    label: Labeller,
    store: Callable[..., LabelStore],
    expected: dict[str, torch.Tensor],
    tiny_teacher: Path,
    routing: Task,
    routing_dataset: Path,
) -> None:
    facts = label(encoding="labels")
    (kind,) = open_tasks(routing_dataset, [routing])
    ids = load_tokenizer(tiny_teacher).convert_tokens_to_ids(list(kind.answer_tokens))
    assert facts.bytes == facts.tokens * len(ids) * 4
    for key, probabilities in expected.items():
        targets = decode(store(facts).get(key), TEMPERATURE)
        assert targets.ids.tolist() == [ids]
        among = probabilities[ids] / probabilities[ids].sum()
        torch.testing.assert_close(targets.probs[0], among, rtol=1e-3, atol=1e-6)
        assert float(targets.tail) == 0.0


def test_pairs_once_labelled_are_not_labelled_again(
    label: Labeller, store: Callable[..., LabelStore]
) -> None:
    labeller = partial(label, encoding="top_k", k=4, shard_pairs=2)
    facts = labeller()
    written = {file: file.stat().st_mtime_ns for file in store(facts).folder.iterdir()}
    lost = sorted(written)[0]
    lost.unlink()
    again = labeller()
    assert 1 <= again.pairs_labelled <= 2
    assert again.pairs_labelled + again.pairs_reused == 5
    del written[lost]
    assert all(file.stat().st_mtime_ns == time for file, time in written.items())


def test_labels_of_pairs_that_are_gone_leave(
    label: Labeller,
    store: Callable[..., LabelStore],
    routing_pairs: Pairs,
    write_dataset: WriteDataset,
    tmp_path: Path,
) -> None:
    whole = label(shard_pairs=3)
    before = {key: store(whole).get(key).arrays["log_probs"] for key in training(routing_pairs)}
    gone = routing_pairs[0]["pair_id"]
    fewer = write_dataset(tmp_path / "d", routing_pairs[1:])
    facts = label(fewer, shard_pairs=3)
    assert (facts.pairs_labelled, facts.pairs_reused, facts.tokens) == (0, 4, 4)
    assert facts.digest != whole.digest
    assert store(facts).missing(before) == [gone]
    for key in before.keys() - {gone}:
        assert (store(facts).get(key).arrays["log_probs"] == before[key]).all()
    files = list((tmp_path / "labels").rglob("*.safetensors"))
    assert files
    assert not any(gone.encode() in file.read_bytes() for file in files)


def training(pairs: Pairs) -> list[str]:
    return [row["pair_id"] for row in pairs if row["split"] == "train"]


def test_another_teachers_labels_and_other_encodings_leave(label: Labeller, tmp_path: Path) -> None:
    record = tmp_path / "labels" / "provenance.json"
    first = label(encoding="labels")
    record.write_text("{}")
    for changes in ({"encoding": "top_k"}, {"encoding": "labels", "digest": "another"}):
        facts = label(**changes)
        assert facts.pairs_labelled == 5
        assert len([f for f in (tmp_path / "labels").iterdir() if f.is_dir()]) == 1
    assert record.exists()
    # The digest is that of what the labels say, whoever said it.
    assert facts.digest == first.digest


def test_how_labels_lie_on_disk_does_not_change_their_digest(
    label: Labeller, store: Callable[..., LabelStore], routing_pairs: Pairs
) -> None:
    first = label(encoding="top_k", k=4, shard_pairs=2)
    labels = store(first)
    records = {key: labels.get(key) for key in training(routing_pairs)[::-1]}
    for file in labels.folder.iterdir():
        file.unlink()
    store(first).write(records)
    again = label(encoding="top_k", k=4, shard_pairs=5)
    assert again == replace(first, pairs_labelled=0, pairs_reused=5)
    assert label(encoding="top_k", k=5).digest != first.digest


def test_another_students_temperature_leaves_what_this_one_decodes(label: Labeller) -> None:
    one = label(encoding="top_k", k=4)
    both = label(encoding="top_k", k=4, temperatures=(TEMPERATURE, 1.0))
    assert both.digest != one.digest
    assert both.digests["2.0"] == one.digests["2.0"] != both.digests["1.0"]
    one, both = label(), label(temperatures=(TEMPERATURE, 1.0))
    assert one.digests == {"2.0": one.digest}
    assert both.digests == {"2.0": one.digest, "1.0": one.digest}


@pytest.fixture
def unadapted(tiny_base: Path, routing: Task, routing_dataset: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "unadapted"
    folder.mkdir()
    adapt_teacher(
        tiny_base,
        folder,
        routing_dataset,
        [routing],
        Adaptation(method="none", max_tokens=64),
        scratch=tmp_path / "scratch",
        cache=tmp_path / "trunk",
        fingerprint="teacher",
    )
    return folder


def test_an_unadapted_teacher_labels_with_the_likelihood_of_the_answers_names(
    label: Labeller,
    store: Callable[..., LabelStore],
    unadapted: Path,
    tiny_base: Path,
    routing: Task,
    routing_pairs: Pairs,
    write_dataset: WriteDataset,
    tmp_path: Path,
) -> None:
    other = routing.model_copy(update={"name": "other"})
    token = {r["response"]: r["response"].replace("routing", "other") for r in routing_pairs}
    rows = [
        r | {"task": "other", "pair_id": f"o-{r['pair_id']}", "response": token[r["response"]]}
        for r in routing_pairs
    ]
    dataset = write_dataset(tmp_path / "two", [*routing_pairs, *rows])
    tasks = [routing, other]
    shutil.rmtree(unadapted)
    unadapted.mkdir()
    adapt_teacher(
        tiny_base, unadapted, dataset, tasks, Adaptation(method="none", max_tokens=64),
        scratch=tmp_path / "scratch", cache=tmp_path / "trunk", fingerprint="teacher",
        prompt=ASKED,
    )  # fmt: skip
    facts = label(dataset, teacher=unadapted, tasks=tasks, shard_pairs=2)
    assert 0.0 < facts.mean_entropy < 0.7
    assert facts.pairs_labelled == 10
    # What it says is what the weights say as they came, without the tokens that were added.
    model, encoder = (
        load_model(tiny_base, CPU, torch.float32),
        Encoder(load_tokenizer(tiny_base), 64),
    )
    for place, kind in enumerate(open_tasks(dataset, tasks)):
        rows = [r for batch in rows_of(dataset, kind.task.name, "train") for r in batch]
        asked = Prompter(encoder, ASKED, kind, dataset).prompts(rows)
        found = kind.predict_untrained(model, asked)
        for row, probabilities in zip(rows, found, strict=True):
            targets = decode(store(facts).get(row["pair_id"]), 1.0)
            expected = torch.zeros(4)
            expected[2 * place : 2 * place + 2] = torch.tensor(probabilities)
            torch.testing.assert_close(targets.probs[0], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("encoding", ["top_k", "sampled"])
def test_an_unadapted_teachers_tokens_are_refused(
    label: Labeller, unadapted: Path, encoding: str
) -> None:
    with pytest.raises(UserError, match=r"soft_labels\.encoding") as error:
        label(teacher=unadapted, encoding=encoding)
    assert "encoding: labels" in error.value.remedy
