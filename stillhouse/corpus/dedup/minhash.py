"""Shingles and MinHash signatures of texts, by compiled kernels over Arrow buffers.

Everything that decides a value is written out here: tokens, shingles, the 64-bit hash and the
permutations (the loops themselves are in `dedup_kernels`). No library's hash takes part, so a
signature stored today equals the one computed after any upgrade of Python, NumPy, numba or DuckDB.
`VERSION` changes when other values are made from the same text.

Tokens are the words between spaces; in scripts written without spaces between words (Chinese,
Japanese, Thai, Lao, Khmer, Burmese and their neighbours) every character is a token. The shingle
that starts at a word spans `words` tokens, the one that starts at an unspaced character `chars`,
so a text that mixes both needs no decision about "its" language. A text too short for a single
shingle is taken by its characters, `chars` at a time, and if that is still too short, whole: no
text but the empty one is without shingles.

Sources: A. Broder, "On the resemblance and containment of documents" (1997), for the estimate;
M. Dietzfelbinger et al., "A reliable randomized algorithm for the closest-pair problem" (1997),
for the strongly universal family (a * x + b) >> 32 over 64-bit a and b; FNV-1a for bytes; the
finalizer of SplitMix64 (Steele, Lea, Flood 2014) for mixing.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stillhouse.corpus.dedup import kernels

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from numpy.typing import NDArray

VERSION = 1

# First and last code point of the blocks whose scripts put no space between words. Tibetan is not
# among them (the tsheg between its syllables is punctuation), nor is Hangul (Korean has spaces).
UNSPACED = np.array(
    [
        (0x0E00, 0x0EFF),  # Thai, Lao
        (0x1000, 0x109F),  # Burmese
        (0x1780, 0x17FF),  # Khmer
        (0x1950, 0x19FF),  # Tai Le, New Tai Lue, Khmer symbols
        (0x1A20, 0x1AAF),  # Tai Tham
        (0x1B00, 0x1B7F),  # Balinese
        (0x2E80, 0x2FDF),  # CJK radicals
        (0x3005, 0x3007),
        (0x3021, 0x312F),  # kana, bopomofo
        (0x31A0, 0x31FF),
        (0x3400, 0x4DBF),
        (0x4E00, 0x9FFF),  # Han
        (0xA000, 0xA4CF),  # Yi
        (0xA980, 0xA9FF),  # Javanese, Burmese
        (0xAA60, 0xAADF),  # Burmese, Tai Viet
        (0xF900, 0xFAFF),
        (0xFF66, 0xFF9F),
        (0x1B000, 0x1B16F),
        (0x20000, 0x3FFFF),
    ],
    np.uint32,
)


def shingles(
    texts: pa.Array, *, words: int = 5, chars: int = 5, seed: int = 1
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the shingles of each text, repeats included.

    `texts` is a string array of n normalised texts (see `texts.normalise`). Returns the
    hashes of all texts one after the other, and n + 1 offsets into them.
    """
    data, offsets = _buffers(texts)
    lengths = np.diff(offsets)
    longest = int(lengths.max(initial=0))
    # A shingle starts at a token and a token has a byte: most of this is never touched, and so
    # never becomes memory.
    hashes = np.empty(int(lengths.sum()), np.uint64)
    ends = np.zeros(len(offsets), np.int64)
    _kernel("shingle")(
        data, offsets, words, chars, np.uint64(seed), UNSPACED,
        np.empty(longest, np.uint64), np.empty(longest, np.int64), hashes, ends,
    )  # fmt: skip
    return hashes[: ends[-1]], ends


def signatures(
    hashes: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    *,
    permutations: int = 120,
    seed: int = 1,
) -> NDArray[np.uint32]:
    """MinHash signatures, shape (n, permutations), of n sets of shingle hashes.

    Two sets agree in each column with a probability equal to their Jaccard similarity. The empty
    set's row is all 0xFFFFFFFF.
    """
    multipliers, increments = _permutations(permutations, seed)
    signed = np.full((len(offsets) - 1, permutations), 0xFFFFFFFF, np.uint32)
    _kernel("sign")(hashes, offsets, multipliers, increments, signed)
    return signed


def band_keys(signed: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.uint64]:
    """One 64-bit key per band, shape (n, bands): equal where all `rows` columns are equal."""
    keys = np.empty((len(signed), bands), np.uint64)
    _kernel("band")(signed, rows, keys)
    return keys


def agreement(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Share of equal columns in each row of two (n, permutations) matrices: estimates Jaccard."""
    return np.asarray((left == right).mean(axis=1))


def jaccard(
    left: pa.Array, right: pa.Array, *, words: int = 5, chars: int = 5, seed: int = 1
) -> NDArray[np.float64]:
    """Exact Jaccard similarity of the shingle sets of `left[i]` and `right[i]`; two empty: 1."""
    one, one_offsets = shingles(left, words=words, chars=chars, seed=seed)
    other, other_offsets = shingles(right, words=words, chars=chars, seed=seed)
    most = int((np.diff(one_offsets) + np.diff(other_offsets)).max(initial=1))
    slots = 1 << (2 * most - 1).bit_length()
    found = np.ones(len(left), np.float64)
    _kernel("jaccard")(
        one, one_offsets, other, other_offsets, np.empty(slots, np.uint64),
        np.empty(slots, np.uint8), found,
    )  # fmt: skip
    return found


def _buffers(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    import pyarrow as pa

    if texts.type != pa.large_string():
        texts = texts.cast(pa.large_string())
    if texts.null_count:
        raise ValueError("texts must not be null")
    _, offsets, data = texts.buffers()
    if not len(texts):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data or b"", np.uint8), bounds


@cache
def _permutations(count: int, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Multipliers (odd) and increments of the permutations, from SplitMix64."""
    state, mask, drawn = seed & (2**64 - 1), 2**64 - 1, []
    for _ in range(2 * count):
        state = (state + int(kernels.GOLDEN)) & mask
        z = ((state ^ (state >> 30)) * int(kernels.MIX_1)) & mask
        z = ((z ^ (z >> 27)) * int(kernels.MIX_2)) & mask
        drawn.append(z ^ (z >> 31))
    return np.array(drawn[:count], np.uint64) | np.uint64(1), np.array(drawn[count:], np.uint64)


@cache
def _kernel(name: str) -> Callable[..., None]:
    """The compiled kernel, from numba's cache on disk when this machine has compiled it before.

    Types are given, so each is compiled once and never again for another integer width. Kernels
    release the GIL: several threads may run one at a time on different batches.
    """
    import numba
    from numba import types as t

    def given(dtype: Any, dimensions: int = 1) -> Any:
        return t.Array(dtype, dimensions, "C", readonly=True)

    u64, i64, filled = given(t.uint64), given(t.int64), t.Array
    function, arguments = {
        "shingle": (kernels.shingle, (
            given(t.uint8), i64, t.int64, t.int64, t.uint64, given(t.uint32, 2),
            filled(t.uint64, 1, "C"), filled(t.int64, 1, "C"),
            filled(t.uint64, 1, "C"), filled(t.int64, 1, "C"),
        )),
        "sign": (kernels.sign, (u64, i64, u64, u64, filled(t.uint32, 2, "C"))),
        "band": (kernels.band, (given(t.uint32, 2), t.int64, filled(t.uint64, 2, "C"))),
        "jaccard": (kernels.jaccard, (
            u64, i64, u64, i64,
            filled(t.uint64, 1, "C"), filled(t.uint8, 1, "C"), filled(t.float64, 1, "C"),
        )),
    }[name]  # fmt: skip
    try:
        return numba.njit(arguments, nogil=True, cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder to cache in that may be written: compile in memory
        return numba.njit(arguments, nogil=True)(function)  # type: ignore[no-any-return]
