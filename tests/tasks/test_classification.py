"""Classification, and what all kinds share, on the tiny random model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from stillhouse.config.dataset import ClassificationTask, Task
from stillhouse.errors import UserError
from stillhouse.lm.chat import Asked, Conversation, Form
from stillhouse.lm.prompts import Encoder, Example, render_prompt
from stillhouse.lm.scoring import sequence_probabilities
from stillhouse.lm.tokens import add_tokens
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.storage.tables import write_table
from stillhouse.tasks import classification
from stillhouse.tasks.classification import Classification
from stillhouse.tasks.common import Tally, prompts_of, require_splits, texts_of, training_examples
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.models import answer_ids, figures_of_epoch

CPU = torch.device("cpu")


@pytest.fixture
def task(routing: Task, routing_dataset: Path) -> Classification:
    return Classification(routing, routing_dataset)


def test_classes_are_those_of_the_training_pairs(
    routing: Task,
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    new = routing_pairs[-1] | {"pair_id": "new", "label": "a_new_one", "response": "x"}
    found = Classification(routing, write_dataset(tmp_path / "d", [*routing_pairs, new]))
    assert found.classes == ["billing", "hardware"]
    assert found.answer_tokens == {
        "<|routing:billing|>": "billing",
        "<|routing:hardware|>": "hardware",
    }


def test_a_class_that_no_training_pair_has_counts_as_answered_wrongly(task: Classification) -> None:
    gold = ["billing", "hardware", "a_new_one"]
    found = task.score(gold, [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert found.right.tolist() == [True, True, False]
    assert found.score == pytest.approx(2 / 3)
    assert found.metrics["unlearnable"] == 1
    assert (found.n, found.metrics["n"]) == (3, 3)
    assert found.calibration_error == found.metrics["ece"]


def test_chance_is_the_best_constant_answer(task: Classification) -> None:
    assert task.chance(["a", "b", "b", "c"]) == 0.5


def test_among_equal_scores_the_surer_right_answers_win(task: Classification) -> None:
    gold = ["billing", "hardware"]
    sure, unsure = (task.score(gold, [[p, 1 - p], [1 - p, p]]) for p in (0.9, 0.6))
    assert sure.score == unsure.score
    assert figures_of_epoch([sure])["score"] > figures_of_epoch([unsure])["score"]


def ask(tiny_base: Path, task: Classification, texts: list[str]) -> tuple[Any, Asked]:
    """The tiny model, and what it is asked in plain text."""
    model = load_model(tiny_base, CPU, torch.float32)
    encoder = Encoder(load_tokenizer(tiny_base), 64)
    form = Form(encoder, "plain")
    prompts = form.prompts([Conversation("Name it.", [], text) for text in texts])
    examples = [
        Example(text, [*ids, 0], len(ids)) for text, ids in zip(texts, prompts, strict=True)
    ]
    return model, Asked(form, examples, None, len(encoder.tokenizer))


def test_a_model_that_has_not_learned_is_scored_on_whole_names(
    task: Classification, tiny_base: Path
) -> None:
    model, asked = ask(tiny_base, task, ["My invoice is wrong.", "It smells of smoke."])
    found = task.predict_untrained(model, asked, [])
    tokenizer = asked.form.encoder.tokenizer
    for example, row in zip(asked.examples, found, strict=True):
        scores = []
        for name in task.classes:
            tail = [*tokenizer(f" {name}").input_ids, asked.form.end_id]
            ids = example.ids[: example.response_start] + tail
            with torch.inference_mode():
                log_probs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
            start = example.response_start - 1
            scores.append(sum(float(log_probs[start + i, t]) for i, t in enumerate(tail)))
        np.testing.assert_allclose(row, torch.tensor(scores).softmax(0).numpy(), atol=1e-4)


def test_no_name_begins_another_one_once_it_has_its_end(
    task: Classification, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that their likelihoods are those of answers that exclude each other."""
    task.classes = ["card", "card_arrival"]
    model, asked = ask(tiny_base, task, ["My card is lost."])
    scored: list[list[int]] = []
    monkeypatch.setattr(
        classification,
        "sequence_probabilities",
        lambda *given, **more: scored.extend(given[2]) or sequence_probabilities(*given, **more),
    )
    (row,) = task.predict_untrained(model, asked, [])
    short, long = scored
    assert long[: len(short) - 1] == short[:-1]
    assert long[: len(short)] != short
    assert sum(row) == pytest.approx(1.0)


def test_the_guide_names_the_classes_in_words_with_what_they_hold(
    task: Classification, routing: ClassificationTask, routing_dataset: Path
) -> None:
    described = {"classes": {"billing": "invoices,\n payments"}}
    told = Classification(routing.model_copy(update=described), routing_dataset)
    assert told.guide().splitlines()[1:] == ["- billing: invoices, payments", "- hardware"]
    assert told.undescribed == ["hardware"]
    assert task.undescribed == ["billing", "hardware"]
    task.classes = ["it_support", "it-support", "card_arrival"]
    assert task.names == ["it_support", "it-support", "card arrival"]
    assert task.shown({"label": "card_arrival"}) == "card arrival"


def test_a_description_of_no_class_is_told(
    routing: ClassificationTask, write_documents: Callable[..., Path]
) -> None:
    documents = write_documents(["billing", "hardware"])
    described = routing.model_copy(update={"classes": {"billing": "x", "hardwear": "y"}})
    with pytest.raises(UserError, match=r"classes\.hardwear .* did you mean 'hardware'"):
        list(Classification.pairs(described, documents, "true", Tally()))
    chosen = described.model_copy(update={"classes": {"hardware": "y"}, "labels": ["billing"]})
    with pytest.raises(UserError, match=r"classes\.hardware of task routing"):
        list(Classification.pairs(chosen, documents, "true", Tally()))
    known = described.model_copy(update={"classes": {"billing": "x"}})
    found = list(Classification.pairs(known, documents, "true", Tally()))
    assert [pair.label for pair in found] == ["billing", "hardware"]


@pytest.fixture
def write_documents(tmp_path: Path) -> Callable[[list[str]], Path]:
    def write(labels: list[str]) -> Path:
        rows = [
            {"doc_id": str(n), "label": label, "kind": "records", "text": f"Text {n}."}
            for n, label in enumerate(labels)
        ]
        write_table(tmp_path / "documents.parquet", pa.Table.from_pylist(rows))
        return tmp_path / "documents.parquet"

    return write


@pytest.mark.parametrize(
    ("name", "words"), [("card_arrival", "card arrival"), ("-", "-"), ("__", "__")]
)
def test_every_class_has_a_name_in_words(name: str, words: str) -> None:
    assert classification.readable(name) == words


def test_new_tokens_begin_as_the_mean_of_their_words(tiny_base: Path) -> None:
    model, tokenizer = load_model(tiny_base, CPU, torch.float32), load_tokenizer(tiny_base)
    before = model.get_input_embeddings().weight.detach().clone()
    add_tokens(model, tokenizer, {"<|a|>": "screen <filename>", "<|b|>": "invoice"})
    after = model.get_input_embeddings().weight
    ids = Encoder(tokenizer, 0).texts([" screen <filename>"])[0]
    assert tokenizer.convert_tokens_to_ids("<filename>") not in ids
    torch.testing.assert_close(after[-2], before[ids].mean(0))
    torch.testing.assert_close(after[:-2], before)


def test_pairs_come_by_id_whatever_the_order_of_the_table(
    task: Classification,
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    routing_dataset: Path,
    tiny_teacher: Path,
    tmp_path: Path,
) -> None:
    turned = write_dataset(tmp_path / "turned", routing_pairs[::-1])
    encoder = Encoder(load_tokenizer(tiny_teacher), 64)
    found = training_examples(task, routing_dataset, encoder)
    assert training_examples(task, turned, encoder) == found
    assert [e.key for e in found.examples] == sorted(e.key for e in found.examples)
    texts = texts_of(turned, "routing", "test")
    prompt = render_prompt("Name the department.", texts[0])
    first = prompts_of(task, routing_dataset, "test", encoder).examples[0]
    assert encoder.texts([prompt])[0] == first.ids[:-1]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_an_empty_split_is_told(
    routing: Task,
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
    split: str,
) -> None:
    other = routing.model_copy(update={"name": "other"})
    rows = [r | {"task": "other"} for r in routing_pairs if r["split"] != split]
    dataset = write_dataset(tmp_path / "d", [*routing_pairs, *rows])
    require_splits(dataset, [routing])
    with pytest.raises(UserError, match=f"task other: no pair in its {split} split"):
        require_splits(dataset, [routing, other])


def test_a_model_of_another_dataset_is_told(
    routing: Task, routing_dataset: Path, tiny_base: Path
) -> None:
    with pytest.raises(UserError, match="task routing: the model lacks tokens of its answers"):
        answer_ids(open_tasks(routing_dataset, [routing]), load_tokenizer(tiny_base))
