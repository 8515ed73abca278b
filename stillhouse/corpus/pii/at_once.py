"""The decisions of spaCy's recognizer of names, for all tokens of many texts at once.

spaCy moves through each text token by token, and asks of each of some seventy moves whether it is
allowed. Where no name is open, a move depends on its token alone: one product of matrices decides
them all, and only within names the tokens follow each other. The names are spaCy's own, several
times as fast (the transition system: spacy/pipeline/_parser_internals/ner.pyx; the model:
`spacy.TransitionBasedParser.v2` with `state_type` "ner").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.pii.token_vectors import remembering

if TYPE_CHECKING:
    import numpy.typing as npt
    from spacy.language import Language
    from spacy.tokens import Doc

    Array = npt.NDArray[Any]

NAME = "stillhouse_names"
# What a state is made of: the token, and in a name also its first and its last one so far.
FEATURES = 3


def use_at_once(nlp: Language) -> None:
    """Let this pipeline find names all at once, where its recognizer is of the kind known here and
    alone: another component could set names, or ends of sentences, that its moves depend on."""
    from spacy.language import Language

    if NAME in nlp.pipe_names or not _of_known_kind(nlp):
        return
    if not Language.has_factory(NAME):

        @Language.factory(NAME)  # type: ignore[untyped-decorator]
        def made(nlp: Language, name: str) -> AtOnce:  # noqa: ARG001 - spaCy's names
            recognizer: Any = nlp.get_pipe("ner")
            vectors = recognizer.model.get_ref("tok2vec").predict
            reads = nlp.config["components"]["ner"]["model"]["tok2vec"]
            return AtOnce(recognizer, remembering(vectors, reads))

    nlp.add_pipe(NAME)
    nlp.disable_pipe("ner")


def _of_known_kind(nlp: Language) -> bool:
    if [name for name in nlp.pipe_names if name != "tok2vec"] != ["ner"]:
        return False
    architecture = nlp.config["components"]["ner"].get("model", {})
    recognizer: Any = nlp.get_pipe("ner")
    return (
        nlp.get_pipe_meta("ner").factory == "ner"
        and architecture.get("@architectures") == "spacy.TransitionBasedParser.v2"
        and architecture.get("state_type") == "ner"
        and recognizer.cfg.get("beam_width") == 1
        and recognizer.model.attrs["has_upper"]
        and not recognizer.model.attrs["unseen_classes"]
        and recognizer.model.get_ref("lower").get_dim("nF") == FEATURES
        and recognizer.model.get_ref("lower").get_dim("nP") >= 2
    )


class AtOnce:
    """A component that sets the entities which `recognizer`, a spaCy NER, would set; `vectors`
    gives those of its tokens."""

    def __init__(self, recognizer: Any, vectors: Callable[[list[Doc]], Array]) -> None:
        lower, upper = (recognizer.model.get_ref(name) for name in ("lower", "upper"))
        self._vectors = vectors
        self._weights, self._bias = lower.get_param("W"), lower.get_param("b")
        self._padding = lower.get_param("pad")[0]
        self._upper, self._upper_bias = upper.get_param("W"), upper.get_param("b")
        names = [recognizer.moves.get_class_name(n) for n in range(recognizer.moves.n_moves)]
        self._moves = [(move, label) for move, _, label in (n.partition("-") for n in names)]
        self._by_name = {name: n for n, name in enumerate(names)}
        self._out = self._by_name["O"]

    def __call__(self, doc: Doc) -> Doc:
        return next(self.pipe([doc]))

    def pipe(self, docs: Iterable[Doc], *, batch_size: int = 64) -> Iterator[Doc]:
        from spacy.util import minibatch

        for batch in minibatch(docs, batch_size):
            self._set_entities(batch)
            yield from batch

    def _set_entities(self, docs: list[Doc]) -> None:
        from spacy.tokens import Span

        if not any(map(len, docs)):
            return
        vectors = self._vectors(docs)
        best = self._best_outside(vectors, docs)
        start = 0
        for doc in docs:
            spans = self._spans(vectors[start : start + len(doc)], best[start : start + len(doc)])
            doc.set_ents([Span(doc, first, end, label=label) for first, end, label in spans])
            start += len(doc)

    def _best_outside(self, vectors: Array, docs: list[Doc]) -> list[int]:
        """The move at each token if no name is open there: none begins with white space, and none
        of several tokens with the last one."""
        import numpy as np

        scores = self._scores(self._feature(vectors, 0) + self._padding[1] + self._padding[2])
        begins = [n for n, (move, _) in enumerate(self._moves) if move == "B"]
        alone = [n for n, (move, label) in enumerate(self._moves) if move == "U" and label]
        allowed = np.zeros(len(self._moves), dtype=bool)
        allowed[[*begins, *alone, self._out]] = True
        scores[:, ~allowed] = -np.inf
        ends = np.cumsum([len(doc) for doc in docs if len(doc)]) - 1
        scores[ends[:, None], begins] = -np.inf
        spaces = np.concatenate([doc.to_array(["IS_SPACE"]) for doc in docs if len(doc)])
        best = scores.argmax(axis=1)
        best[spaces != 0] = self._out
        found: list[int] = best.tolist()
        return found

    def _spans(self, vectors: Array, best: list[int]) -> Iterator[tuple[int, int, str]]:
        """First and last token (exclusive) and label of each name."""
        at = 0
        while at < len(best):
            move, label = self._moves[best[at]]
            start, at = at, at + 1
            if move == "O":
                continue
            if move == "B":
                while at < len(best) - 1 and self._goes_on(vectors, start, at, label):
                    at += 1
                at += 1
            yield start, at, label

    def _goes_on(self, vectors: Array, start: int, at: int, label: str) -> bool:
        """Whether the name that began at `start` has more tokens behind the one at `at`."""
        features = [
            self._feature(vectors[[token]], n) for n, token in enumerate((at, start, at - 1))
        ]
        scores = self._scores(features[0] + features[1] + features[2])[0]
        inside, last = self._by_name[f"I-{label}"], self._by_name[f"L-{label}"]
        first, second = sorted((inside, last))
        # Of two moves alike, spaCy takes the first.
        return bool((second if scores[second] > scores[first] else first) == inside)

    def _feature(self, vectors: Array, number: int) -> Array:
        """What tokens say as feature `number` of a state: tokens x hidden x pieces."""
        weights = self._weights[number]
        flat = vectors @ weights.reshape(-1, weights.shape[-1]).T
        found: Array = flat.reshape(len(vectors), *weights.shape[:-1])
        return found

    def _scores(self, summed: Array) -> Array:
        """States x moves."""
        found: Array = (summed + self._bias).max(axis=-1) @ self._upper.T + self._upper_bias
        return found
