from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stillhouse.corpus.nlp import pipeline
from stillhouse.corpus.pii import token_vectors
from stillhouse.corpus.pii.at_once import NAME, use_at_once
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii.token_vectors import TokenVectors, remembering

TEXT = (
    "Could you tell Anna Schmidt in Berlin that the feed pump, which we ordered under B12-3456 "
    "last Monday, has been losing pressure since, and nobody here can say why it does?\n\n"
    "Kind regards\nJohn Lee\nNorrvik Shipyard"
)
TEXTS = [TEXT, "", "Berlin", TEXT.replace("Anna Schmidt", "Person-kuvora"), f"{TEXT}\n{TEXT}"]


@pytest.fixture(scope="module")
def nlp() -> Any:
    ours = pipeline.__wrapped__(MaskSettings().nlp_model, "ner")
    use_at_once(ours)
    return ours


@pytest.fixture
def ours(nlp: Any) -> TokenVectors:
    of_pipeline = nlp.get_pipe(NAME)._vectors
    assert isinstance(of_pipeline, TokenVectors)
    return TokenVectors(of_pipeline._predict, of_pipeline._columns, of_pipeline._reach)


def _counted(vectors: TokenVectors) -> Callable[[], int]:
    """How many tokens the model has computed since the last call."""
    predict, computed = vectors._predict, [0]

    def counting(docs: list[Any]) -> Any:
        found = predict(docs)
        computed[0] += len(found)
        return found

    def since() -> int:
        number, computed[0] = computed[0], 0
        return number

    vectors._predict = counting
    return since


def test_the_vectors_are_the_models_own(nlp: Any, ours: TokenVectors) -> None:
    docs = [nlp.make_doc(text) for text in TEXTS]
    expected = ours._predict(docs)
    assert np.array_equal(ours(docs), expected)
    assert np.array_equal(ours(docs[::-1]), ours._predict(docs[::-1]))
    # Alone, a text's tokens are what they are among others.
    assert np.array_equal(ours([docs[3]]), ours._predict([docs[3]]))
    assert np.abs(expected[0] - expected[1]).max() > 0


def test_only_what_stands_near_a_change_is_computed_again(nlp: Any, ours: TokenVectors) -> None:
    computed = _counted(ours)
    before, masked = nlp.make_doc(TEXTS[0]), nlp.make_doc(TEXTS[3])
    ours([before, before])
    assert computed() == len(before)
    ours([before])
    assert computed() == 0
    ours([masked])
    # The pseudonym, and on both sides what it is near to and what that depends on.
    assert 0 < computed() <= 3 + 2 * 2 * ours._reach < len(masked)


def test_memory_is_bounded(nlp: Any, ours: TokenVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = [nlp.make_doc(text) for text in TEXTS[:4]]
    expected = ours._predict(docs)
    monkeypatch.setattr(token_vectors, "REMEMBERED", 50)
    for _ in range(2):
        assert np.array_equal(ours(docs), expected)  # more than it can hold
        found = np.concatenate([ours([doc]) for doc in docs if len(doc)])
        assert np.array_equal(found, expected)
    assert len(ours._slots) <= 50


def test_a_model_that_looks_further_has_no_memory() -> None:
    def predict(docs: list[Any]) -> Any:
        raise AssertionError("nothing is asked of it")

    embed = {"@architectures": "spacy.MultiHashEmbed.v2", "attrs": ["NORM"]}
    encode = {"@architectures": "spacy.MaxoutWindowEncoder.v2", "window_size": 1, "depth": 2}
    assert isinstance(remembering(predict, {"embed": embed, "encode": encode}), TokenVectors)
    for other in (
        {"@architectures": "spacy-transformers.TransformerListener.v1"},
        {"embed": {**embed, "include_static_vectors": True}, "encode": encode},
        {"embed": embed, "encode": {**encode, "@architectures": "spacy.TorchBiLSTMEncoder.v1"}},
    ):
        assert remembering(predict, other) is predict
