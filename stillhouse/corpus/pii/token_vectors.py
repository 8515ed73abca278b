"""Vectors of spaCy's tokens, each computed once for a token among its neighbours.

Behind hashed features of single tokens, spaCy's `MaxoutWindowEncoder` is a few convolutions: a
token's vector depends on the tokens within their reach and on nothing else. A masked text differs
from the text only around what was masked, and signatures, forms and disclaimers come again and
again: most of their tokens are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt
    from spacy.tokens import Doc

    Array = npt.NDArray[Any]
    Predict = Callable[[list[Any]], Array]

# Tokens that are remembered: some 30 MB.
REMEMBERED = 1 << 17
# Odd numbers of 64 bits: keys are sums of products with them.
FACTOR, MIXER = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9


@dataclass(frozen=True)
class _Stretch:
    """Some tokens in place of a `Doc`, which the model asks for nothing but this."""

    rows: Array

    def to_array(self, _: list[str]) -> Array:
        return self.rows


class TokenVectors:
    """As `predict` of a spaCy `tok2vec` of known architecture: tokens x width.

    `columns` are the features it reads of a token, `reach` how many neighbours on each side it
    takes into account.
    """

    def __init__(self, predict: Predict, columns: list[str], reach: int) -> None:
        self._predict, self._columns, self._reach = predict, columns, reach
        self._slots: dict[int, int] = {}
        self._table: Array | None = None

    def __call__(self, docs: list[Doc]) -> Array:
        features = [doc.to_array(self._columns) for doc in docs if len(doc)]
        keys = [key for rows in features for key in self._keys(rows)]
        if len(set(keys)) > REMEMBERED:
            return self._predict(docs)
        known = self._slots
        if len(known) + len(set(keys).difference(known)) > REMEMBERED:
            known.clear()
        first_seen = {key: at for at, key in reversed(list(enumerate(keys))) if key not in known}
        if first_seen:
            self._learn(features, first_seen)
        if self._table is None:
            raise AssertionError("there is a token, and it was learned")
        found: Array = self._table[[known[key] for key in keys]]
        return found

    def _keys(self, rows: Array) -> list[int]:
        """A number for each token with its neighbours. That two of a million share one of 64 bits
        has a chance of 1 in 37 million."""
        import numpy as np

        mixed = np.zeros(len(rows), dtype=np.uint64)
        for column in rows.T.astype(np.uint64):
            mixed = _stirred(mixed * np.uint64(FACTOR) + column)
        # Beyond the text's ends stands nothing, which is no token.
        around = np.pad(mixed, self._reach)
        keys = np.zeros(len(rows), dtype=np.uint64)
        for shift in range(2 * self._reach + 1):
            keys = _stirred(keys * np.uint64(FACTOR) + around[shift : shift + len(rows)])
        found: list[int] = keys.tolist()
        return found

    def _learn(self, features: list[Array], first_seen: dict[int, int]) -> None:
        import numpy as np

        wanted = np.zeros(sum(map(len, features)), dtype=bool)
        wanted[list(first_seen.values())] = True
        stretches = list(self._stretches(features, wanted))
        vectors = self._predict([_Stretch(rows) for rows, _ in stretches])
        new = vectors[np.concatenate([asked for _, asked in stretches])]
        if self._table is None:
            self._table = np.empty((REMEMBERED, new.shape[1]), dtype=new.dtype)
        slot = len(self._slots)
        self._table[slot : slot + len(new)] = new
        in_order = sorted(first_seen, key=first_seen.__getitem__)
        self._slots |= zip(in_order, range(slot, slot + len(new)), strict=True)

    def _stretches(self, features: list[Array], wanted: Array) -> Iterator[tuple[Array, Array]]:
        """Rows around the wanted tokens with all that these depend on, and which are wanted."""
        import numpy as np

        start = 0
        for rows in features:
            asked = wanted[start : start + len(rows)]
            start += len(rows)
            near = np.convolve(asked, np.ones(2 * self._reach + 1), "same") > 0.5
            edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
            for first, last in edges.reshape(-1, 2):
                yield rows[first:last], asked[first:last]


def remembering(predict: Predict, model: Mapping[str, Any]) -> Predict:
    """`predict`, of a tok2vec that is described so, with a memory where its vectors depend on
    features of tokens and on neighbours alone."""
    embed, encode = model.get("embed", {}), model.get("encode", {})
    if (
        embed.get("@architectures") != "spacy.MultiHashEmbed.v2"
        or embed.get("include_static_vectors")
        or encode.get("@architectures") != "spacy.MaxoutWindowEncoder.v2"
    ):
        return predict
    return TokenVectors(predict, embed["attrs"], encode["window_size"] * encode["depth"])


def _stirred(numbers: Array) -> Array:
    """Every bit of each number depends on all of it."""
    import numpy as np

    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(MIXER)
    return numbers ^ (numbers >> np.uint64(27))
