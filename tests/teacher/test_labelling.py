from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
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
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.soft_labels.codec import decode
from stillhouse.soft_labels.head import Head
from stillhouse.soft_labels.hidden import LISTED
from stillhouse.soft_labels.reader import LabelReader
from stillhouse.soft_labels.store import LabelStore, header_from, open_store
from stillhouse.tasks.common import training_examples, training_rows
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.prompting import Prompter
from stillhouse.teacher.adaptation import adapt_teacher
from stillhouse.teacher.labelling import label_pairs
from tests.written import written_pairs, written_task

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
    """The one store that there is."""

    def call(facts: SoftLabelsFacts) -> LabelStore:
        (header,) = facts.headers
        return open_store(tmp_path / "labels", header_from(header))

    return call


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
    assert facts.mean_tail is not None
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


def test_where_nothing_is_learned_softly_nothing_is_labelled(
    tiny_teacher: Path, routing: Task, routing_dataset: Path, tmp_path: Path
) -> None:
    """A project of written answers alone, in its first run: no store has made the folder."""
    facts = label_pairs(
        tiny_teacher,
        tmp_path / "labels",
        routing_dataset,
        [routing],
        SoftLabels(),
        (TEMPERATURE,),
        softly=set(),
        teacher_digest="teacher",
        max_tokens=64,
        top_layers=1,
        cache=tmp_path / "trunk",
    )
    assert (facts.headers, facts.tokens) == ([], 0)
    assert list((tmp_path / "labels").iterdir()) == []


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
    for encoding in ("labels", "hidden"):
        one = label(encoding=encoding)
        both = label(encoding=encoding, temperatures=(TEMPERATURE, 1.0))
        assert both.digest == one.digest
        assert both.digests == {"1.0": one.digests["2.0"], "2.0": one.digests["2.0"]}
        assert (both.pairs_labelled, both.pairs_reused) == (0, 5)


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
        rows = [r for batch in training_rows(dataset, kind.task.name) for r in batch]
        asked = Prompter(encoder, ASKED, kind, dataset).prompts(rows)
        found = kind.predict_untrained(model, asked, [r["input"] for r in rows])
        for row, probabilities in zip(rows, found, strict=True):
            targets = decode(store(facts).get(row["pair_id"]), 1.0)
            expected = torch.zeros(4)
            expected[2 * place : 2 * place + 2] = torch.tensor(probabilities)
            torch.testing.assert_close(targets.probs[0], expected, rtol=1e-3, atol=1e-6)


@pytest.fixture
def gist(monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task whose answers are texts."""
    return written_task()


@pytest.fixture
def both(routing_pairs: Pairs, write_dataset: WriteDataset, tmp_path: Path) -> Path:
    """A dataset of both tasks."""
    return write_dataset(tmp_path / "both", [*routing_pairs, *written_pairs(routing_pairs)])


def readers(tmp_path: Path, facts: SoftLabelsFacts, *temperatures: float) -> list[LabelReader]:
    return [LabelReader.open(tmp_path / "labels", facts.headers, t) for t in temperatures]


def logits_of(teacher: Path, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Logits [response tokens, vocabulary] of each pair, one pair at a time."""
    model, found = load_model(teacher, CPU, torch.float32), {}
    for example in examples:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([example.ids[:-1]])).logits[0]
        found[example.key] = logits[example.response_start - 1 :]
    return found


def examples_of(teacher: Path, task: Task, dataset: Path) -> list[Example]:
    (kind,) = open_tasks(dataset, [task])
    encoder = Encoder(load_tokenizer(teacher), 64)
    return training_examples(kind, dataset, encoder).examples


def test_each_task_has_an_encoding_of_its_own(
    label: Labeller, routing: Task, gist: Task, both: Path, tiny_teacher: Path, tmp_path: Path
) -> None:
    facts = label(both, tasks=[routing, gist], temperatures=(1.0, 2.0))
    assert facts.encodings == {"routing": "labels", "gist": "sampled"}
    assert len(facts.headers) == 3  # draws at each temperature
    assert len([f for f in (tmp_path / "labels").iterdir() if f.is_dir()]) == 3
    assert facts.mean_tail is None
    assert facts.mean_entropy is not None
    written = examples_of(tiny_teacher, gist, both)
    assert facts.tokens == 5 + sum(len(e.response_ids) for e in written)
    assert facts.pairs_labelled == 10
    logits = logits_of(tiny_teacher, written)
    keys = [e.key for e in examples_of(tiny_teacher, routing, both)] + [e.key for e in written]
    for reader in readers(tmp_path, facts, 1.0, 2.0):
        assert reader.missing([*keys, "another"]) == ["another"]
        for key, found in logits.items():
            targets = reader.targets([key])
            assert targets.kind == "sampled"
            assert len(targets.ids) == len(found) > 1
            drawn = torch.zeros_like(found).scatter_add_(
                1, targets.ids.clamp_min(0), 12 * targets.probs
            )
            expected = 12 * (found / reader.temperature).softmax(1)
            assert bool(((drawn - expected).abs() < 1 + 1e-3).all())


def test_a_batch_of_several_encodings_keeps_its_order(
    label: Labeller, routing: Task, gist: Task, both: Path, tiny_teacher: Path, tmp_path: Path
) -> None:
    facts = label(both, tasks=[routing, gist])
    (reader,) = readers(tmp_path, facts, TEMPERATURE)
    one, other = (examples_of(tiny_teacher, task, both) for task in (routing, gist))
    mixed = [e for pair in zip(one, other, strict=True) for e in pair]
    targets = reader.targets([e.key for e in mixed])
    assert targets.kind == "mixed"
    row = 0
    for example in mixed:
        alone = reader.targets([example.key])
        rows, width = alone.ids.shape
        assert rows == len(example.response_ids)
        assert torch.equal(targets.ids[row : row + rows, :width], alone.ids)
        assert torch.equal(targets.probs[row : row + rows, :width], alone.probs)
        assert not targets.probs[row : row + rows, width:].any()
        row += rows
    assert row == len(targets.ids)
    with pytest.raises(KeyError, match="another"):
        reader.targets([one[0].key, "another"])


def test_one_more_temperature_leaves_the_draws_of_the_others(
    label: Labeller, gist: Task, routing: Task, both: Path, tmp_path: Path
) -> None:
    first = label(both, tasks=[routing, gist])
    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "labels").rglob("*.safetensors")}
    more = label(both, tasks=[routing, gist], temperatures=(1.0, TEMPERATURE))
    assert all(file.stat().st_mtime_ns == time for file, time in files.items())
    assert more.digests["2.0"] == first.digests["2.0"] != more.digests["1.0"]
    assert more.pairs_labelled == 5  # those of the task whose labels follow one temperature


def test_a_pair_draws_the_same_in_whatever_batches(label: Labeller, gist: Task, both: Path) -> None:
    found = [
        label(both, tasks=[gist], folder=f"labels-{size}", batch_size=size, shard_pairs=3)
        for size in (1, 2, 5)
    ]
    assert len({facts.digest for facts in found}) == 1


def test_an_encoding_that_is_set_holds_for_all_tasks(
    label: Labeller, routing: Task, gist: Task, both: Path, tiny_teacher: Path, tmp_path: Path
) -> None:
    facts = label(both, tasks=[routing, gist], encoding="hidden")
    assert facts.encodings == {"routing": "hidden", "gist": "hidden"}
    assert facts.bytes == facts.tokens * 2 * 32
    (reader,) = readers(tmp_path, facts, TEMPERATURE)
    assert reader.needs_head
    tokenizer = load_tokenizer(tiny_teacher)
    head = Head.read(tiny_teacher, len(tokenizer), CPU)
    top = label(both, tasks=[routing, gist], folder="top", encoding="top_k", k=LISTED)
    exact = LabelReader.open(tmp_path / "top", top.headers, TEMPERATURE)
    for example in examples_of(tiny_teacher, gist, both):
        found = reader.targets([example.key], head=head)
        expected = exact.targets([example.key])
        dense = [
            torch.zeros(len(t.ids), len(tokenizer)).scatter_(1, t.ids, t.probs)
            for t in (found, expected)
        ]
        # Within the rounding of bfloat16, 2**-9 of each number that adds up to a logit: the least
        # likely of those listed may be others.
        listed = (dense[0] > 0) & (dense[1] > 0)
        assert bool((listed.sum(1) > 0.97 * LISTED).all())
        torch.testing.assert_close(dense[0][listed], dense[1][listed], rtol=0.02, atol=1e-5)
        torch.testing.assert_close(found.tail, expected.tail, rtol=0.02, atol=1e-4)


def test_a_teacher_that_was_left_as_it_came_labels_texts_token_by_token(
    label: Labeller, routing: Task, gist: Task, both: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """And classes by their names, whatever the encoding; its answer tokens are no answers."""
    teacher = tmp_path / "left"
    teacher.mkdir()
    adapt_teacher(
        tiny_base, teacher, both, [routing, gist], Adaptation(method="none", max_tokens=64),
        scratch=tmp_path / "scratch", cache=tmp_path / "trunk", fingerprint="teacher",
    )  # fmt: skip
    known = len(load_tokenizer(tiny_base))
    facts = label(both, teacher=teacher, tasks=[routing, gist], encoding="top_k", k=10**6)
    assert facts.encodings == {"routing": "labels", "gist": "top_k"}
    (reader,) = readers(tmp_path, facts, TEMPERATURE)
    (kind,) = open_tasks(both, [gist])
    encoder = Encoder(load_tokenizer(teacher), 64)
    prompter = Prompter(encoder, TeacherPrompt(), kind, both, vocabulary=known)
    rows = [row for batch in training_rows(both, gist.name) for row in batch]
    for key, logits in logits_of(teacher, prompter.pairs(rows)).items():
        targets = reader.targets([key])
        assert targets.ids.shape == (len(logits), known)
        assert logits.shape[1] > known
        expected = (logits[:, :known] / TEMPERATURE).softmax(1)
        torch.testing.assert_close(
            targets.probs, expected.gather(1, targets.ids), rtol=1e-3, atol=1e-6
        )
    classes = reader.targets([e.key for e in examples_of(teacher, routing, both)])
    assert classes.kind == "label_distribution"


@pytest.mark.parametrize("encoding", ["top_k", "sampled", "hidden"])
def test_padding_of_the_teachers_embedding_takes_no_part(
    label: Labeller, tiny_teacher: Path, tmp_path: Path, encoding: str
) -> None:
    model = load_model(tiny_teacher, CPU, torch.float32)
    first = label(encoding=encoding)
    tokens = len(load_tokenizer(tiny_teacher))
    model.resize_token_embeddings(tokens + 40, mean_resizing=False)
    with torch.no_grad():
        model.get_output_embeddings().weight[tokens:] = 9 * torch.randn(40, 32)
    shutil.copytree(tiny_teacher, tmp_path / "padded")
    model.save_pretrained(tmp_path / "padded")
    again = label(encoding=encoding, teacher=tmp_path / "padded", digest="padded")
    assert again.pairs_labelled == 5
    assert again.digests == first.digests


def test_a_vocabulary_too_large_for_draws_is_told_before_time_is_spent(
    label: Labeller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("stillhouse.soft_labels.sampled.MAX_VOCABULARY", 100)
    monkeypatch.setattr("stillhouse.teacher.labelling.open_model", None)
    with pytest.raises(UserError, match=r"too large for sampled.*\n.*top_k or hidden"):
        label(encoding="sampled")
