"""The kernels against sets of tuples in plain Python."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.corpus.dedup import minhash
from stillhouse.corpus.dedup.texts import normalise

UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3041, 0x30FF),
    (0x4E00, 0x9FFF),
)

TEXTS = st.text(alphabet="aab é ü ไท ខ漢字かな  ", max_size=40).map(normalise)


PINNED_ENDS = [0, 5, 11, 12, 12]
PINNED_HASHES = [3594158129051947429, 16882175398131855205, 13187333542583866778]
PINNED_SIGNATURES = [
    [954574337, 1994001879, 1294125114],
    [1058882667, 352317636, 336020391],
    [3830787761, 1994625545, 1498093764],
    [4294967295, 4294967295, 4294967295],
]
PINNED_BANDS = [4498630159419485990, 9730053498703310211]


def reference(text: str, words: int = 5, chars: int = 5) -> set[tuple[str, ...]]:
    """What the module's docstring says, in the plainest way."""
    tokens: list[tuple[str, int]] = []
    for word in text.split():
        run = ""
        for character in word:
            if any(low <= ord(character) <= high for low, high in UNSPACED):
                if run:
                    tokens.append((run, words))
                run = ""
                tokens.append((character, chars))
            else:
                run += character
        if run:
            tokens.append((run, words))
    found = {
        tuple(token for token, _ in tokens[i : i + span])
        for i, (_, span) in enumerate(tokens)
        if i + span <= len(tokens)
    }
    size = min(chars, len(text))
    return found or {tuple(text[i : i + size]) for i in range(len(text) - size + 1) if text}


def similarity(left: set[tuple[str, ...]], right: set[tuple[str, ...]]) -> float:
    return len(left & right) / len(left | right) if left | right else 1.0


@given(st.lists(TEXTS, min_size=1, max_size=6), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_there_are_as_many_shingles_as_in_the_reference(
    texts: list[str], words: int, chars: int
) -> None:
    hashes, ends = minhash.shingles(pa.array(texts), words=words, chars=chars)
    for i, text in enumerate(texts):
        ours = set(hashes[ends[i] : ends[i + 1]].tolist())
        assert len(ours) == len(reference(text, words, chars)), text


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_jaccard_is_exact(pairs: list[tuple[str, str]]) -> None:
    left, right = zip(*pairs, strict=True)
    found = minhash.jaccard(pa.array(left), pa.array(right))
    assert found.tolist() == [similarity(reference(a), reference(b)) for a, b in pairs]


def test_agreement_estimates_jaccard_without_bias() -> None:
    rng = np.random.default_rng(3)
    left, right = [], []
    for _ in range(600):
        words = [f"w{i}" for i in rng.integers(0, 5000, 120)]
        changed = list(words)
        for place in rng.integers(0, 120, rng.integers(0, 9)):
            changed[place] = f"x{rng.integers(10**9)}"
        left.append(" ".join(words))
        right.append(" ".join(changed))
    exact = minhash.jaccard(pa.array(left), pa.array(right))
    one, other = (minhash.signatures(*minhash.shingles(pa.array(side))) for side in (left, right))
    error = minhash.agreement(one, other) - exact
    expected = np.sqrt(exact * (1 - exact) / 120)
    assert exact.min() < 0.5 < exact.max()
    assert abs(error.mean()) < 4 * expected.mean() / np.sqrt(len(error))
    assert 0.85 < error.std() / np.sqrt((expected**2).mean()) < 1.15
    assert (abs(error) <= 5 * expected + 1e-12).all()


def test_the_minima_are_spread_evenly() -> None:
    """Of texts of one shingle each column is uniform, and no column follows another."""
    texts = pa.array([f"a b c d {i}" for i in range(4000)])
    signed = minhash.signatures(*minhash.shingles(texts)).astype(np.float64) / 2**32
    assert abs(signed.mean() - 0.5) < 0.01
    correlation = np.corrcoef(signed.T) - np.eye(signed.shape[1])
    assert abs(correlation).max() < 0.1


def test_stored_signatures_stay_valid() -> None:
    """These values are in users' stores: a change here needs a new `minhash.VERSION`."""
    texts = pa.array(["the quick brown fox jumps over the lazy dog", "ขอบคุณครับ", "hi", ""])
    hashes, ends = minhash.shingles(texts)
    assert ends.tolist() == PINNED_ENDS
    assert hashes[:3].tolist() == PINNED_HASHES
    signed = minhash.signatures(hashes, ends)
    assert signed[:, :3].tolist() == PINNED_SIGNATURES
    assert minhash.band_keys(signed, 20, 6)[0, :2].tolist() == PINNED_BANDS


def test_another_seed_gives_other_hashes_and_the_same_similarity() -> None:
    left, right = pa.array(["a b c d e f g h"]), pa.array(["a b c d e f g x"])
    one, _ = minhash.shingles(left, seed=1)
    other, _ = minhash.shingles(left, seed=2)
    assert not set(one.tolist()) & set(other.tolist())
    assert minhash.jaccard(left, right, seed=1) == minhash.jaccard(left, right, seed=2) == [0.6]


def test_a_band_key_is_equal_exactly_where_all_its_rows_are() -> None:
    signed = np.arange(24, dtype=np.uint32).reshape(2, 12) % 12
    signed[1, 5] += 1
    keys = minhash.band_keys(signed, 4, 3)
    assert (keys[0] == keys[1]).tolist() == [True, False, True, True]
    assert len(set(keys[0].tolist())) == 4


def test_a_slice_of_an_array_is_read_from_its_own_place() -> None:
    texts = pa.array(["a b c d e", "f g h i j", "k l m n o"])
    whole, _ = minhash.shingles(texts)
    part, ends = minhash.shingles(texts.slice(1, 2))
    assert part.tolist() == whole[1:].tolist()
    assert ends.tolist() == [0, 1, 2]


def test_no_texts_and_null_texts() -> None:
    hashes, ends = minhash.shingles(pa.array([], pa.string()))
    assert len(hashes) == 0
    assert ends.tolist() == [0]
    assert minhash.signatures(hashes, ends).shape == (0, 120)
    assert len(minhash.jaccard(pa.array([], pa.string()), pa.array([], pa.string()))) == 0
    with pytest.raises(ValueError, match="null"):
        minhash.shingles(pa.array(["a", None]))


def test_compilation_waits_for_the_first_use() -> None:
    code = "import sys, stillhouse.corpus.dedup.clusters\n"
    code += "sys.exit(len({'numba', 'duckdb'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
