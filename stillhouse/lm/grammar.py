"""Which tokens a grammar allows next, by llguidance (github.com/guidance-ai/llguidance, MIT)."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from stillhouse.lm.prompts import SPACE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

BYTE = re.compile(r"<0x([0-9A-F]{2})>")

# A text may be spelled in any tokens, not only in those that the tokenizer would cut it into: so
# the likeliest token that is allowed is the likeliest of all wherever that one is allowed.
ANY_TOKENS = '%llguidance {"no_forcing": true}\n'


class Grammars:
    """Compiles grammars for one model's tokens.

    Takes the tokenizer apart once (0.3 s for 49,152 tokens): make one a model. `end_ids` are the
    tokens that end an answer. No added token is ever part of one, special or not, unless it is but
    spaces; nor is a token from `vocabulary` on.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, vocabulary: int, end_ids: Collection[int]
    ) -> None:
        from llguidance import LLTokenizer

        self.vocabulary, self.end_ids = vocabulary, frozenset(end_ids)
        self._tokenizer = LLTokenizer(
            _Tokens(token_bytes(tokenizer, vocabulary), end_ids), eos_token=sorted(end_ids)
        )

    def compile(self, grammar: str, *, trusted: bool = True) -> Constraint:
        """What keeps one answer within `grammar`, in llguidance's dialect of Lark. Our own may be
        large, as it may hold a document; one that is not `trusted` has llguidance's usual limits.

        Raises `ValueError` for a grammar that can't be compiled. Its message is llguidance's first
        line: the next ones show the grammar, and with it what may be the text of a document.
        """
        from llguidance import LLMatcher, LLParserLimits

        fuel = {"initial_lexer_fuel": 20_000_000, "step_lexer_fuel": 4_000_000} if trusted else {}
        limits = LLParserLimits(**fuel, verbose_errors=False)
        matcher = LLMatcher(self._tokenizer, ANY_TOKENS + grammar, log_level=0, limits=limits)
        if matcher.is_error():
            raise ValueError(f"grammar: {matcher.get_error().splitlines()[0]}")
        return Constraint(matcher, self.vocabulary, self.end_ids)


class Constraint:
    """How far an answer has come in its grammar, and what may come next."""

    def __init__(self, matcher: Any, vocabulary: int, end_ids: Collection[int]) -> None:
        self._matcher, self._vocabulary, self._end_ids = matcher, vocabulary, end_ids

    def allowed(self) -> NDArray[np.bool_]:
        """Whether each token [vocabulary] may come next, the end tokens among them.

        None may where the grammar goes on with bytes that the vocabulary lacks, or has grown too
        large to follow.
        """
        import numpy as np

        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        if self._matcher.is_error():
            return np.zeros(self._vocabulary, dtype=bool)
        return np.unpackbits(bits, count=self._vocabulary, bitorder="little").astype(bool)

    def advance(self, token: int) -> None:
        """Take in a token that was allowed. Raises `ValueError` for another one."""
        if not self._matcher.consume_token(token):
            raise ValueError(f"token {token} is not allowed here")

    def takes(self, token: int | None) -> bool:
        """Whether a token, or the end of the answer (None), is allowed; a token is taken in then.
        It costs much less than to ask what else is."""
        if token is None:
            return self.may_end
        return bool(self._matcher.try_consume_tokens([token]) == 1)

    @property
    def may_end(self) -> bool:
        return not self._matcher.is_error() and self._matcher.is_accepting()

    @property
    def must_end(self) -> bool:
        """Whether nothing but the end may come."""
        return self._matcher.is_stopped()

    def accepts(self, ids: Sequence[int]) -> bool:
        """Whether `ids`, without an end token, are a whole answer from its beginning."""
        taken, matcher = self._from_start(ids)
        return taken == len(ids) and matcher.is_accepting()

    def valid(self, ids: Sequence[int]) -> int:
        """How many of `ids` could be written, one after the other, from the beginning."""
        return self._from_start(ids)[0]

    def _from_start(self, ids: Sequence[int]) -> tuple[int, Any]:
        matcher = self._matcher.deep_copy()
        matcher.reset()
        # llguidance takes an end token for a part of the answer.
        text = list(takewhile(lambda token: token not in self._end_ids, ids))
        return matcher.try_consume_tokens(text), matcher


def token_bytes(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> list[bytes]:
    """The bytes that each of the first `vocabulary` tokens writes; none for those that are no text,
    such as special and added tokens."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    spelled = {symbol: byte for byte, symbol in bytes_to_unicode().items()}
    by_level = '"ByteLevel"' in json.dumps(backend.get("decoder"))
    found = [b""] * vocabulary
    for token, index in tokenizer.get_vocab().items():
        if index >= vocabulary:
            continue
        if by_level:
            if all(symbol in spelled for symbol in token):
                found[index] = bytes(spelled[symbol] for symbol in token)
        elif byte := BYTE.fullmatch(token):
            found[index] = bytes([int(byte[1], 16)])
        else:
            found[index] = token.replace(SPACE, " ").encode()
    for token in backend["added_tokens"]:
        content = token["content"].replace(SPACE, " ")
        if token["id"] >= vocabulary or BYTE.fullmatch(content):
            continue
        spaces = not token["special"] and not content.strip()
        found[token["id"]] = content.encode() if spaces else b""
    return found


class _Tokens:
    """A tokenizer as llguidance wants it. It asks for the tokens of a text only where it forces
    some, which `ANY_TOKENS` forbids."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokens: list[bytes], end_ids: Collection[int]) -> None:
        self.tokens, self.special_token_ids = tokens, sorted(end_ids)
        self.eos_token_id = self.special_token_ids[0]

    def __call__(self, text: str) -> list[int]:
        raise NotImplementedError
