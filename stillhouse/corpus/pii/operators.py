"""What stands in place of personal data, by its kind; docs/privacy.md says what each promises.

`pseudonymize` is the usual one, and the form in which a text is scanned again whatever will stand
there in the end. A pseudonym looks like `Person-kuvora`: the kind, and three syllables drawn by a
keyed hash (HMAC-SHA256) of the value. Without the key, values can't be guessed back. Why this form:

- A language model reads it cheaply: 4.9 tokens on average with SmolLM2's tokenizer, where
  `<PERSON_3f9a>` takes 9.7; whoever pays by the token trains on fewer of them.
- It says what stood there, is stable in a sentence, and contains no digit that a recognizer of
  numbers could take for a new finding. Its form is known, so masking a masked text changes nothing.
- Three syllables make 421,875 pseudonyms a kind: among 1,000 people one pair in expectation
  shares one (5,000: 30). That blurs rather than reveals; set four syllables for larger corpora.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from stillhouse.config.corpus import Operator, operator_of
from stillhouse.corpus.pii.keyed import Keyed, normal
from stillhouse.corpus.pii.parts import BREAK, COLUMNS_END
from stillhouse.corpus.pii.surrogates import Surrogates, forms

# No `g`: fewer syllables that spell something offensive.
SYLLABLES = tuple(c + v for c in "bdfhjklmnprstvz" for v in "aeiou")
CODE = "(?:[bdfhjklmnprstvz][aeiou])"

# 48 bits: that any two of a million values share one has a chance of 1 in 560.
HASH_DIGITS = 12
# Digits that `mask_last_4` keeps; of a shorter number they would be too much of it.
KEPT, KEPT_FROM = 4, 8


class Operators:
    """What stands for a value, under `key`; `chosen` is one operator, or one a kind."""

    def __init__(
        self, chosen: Operator | Mapping[str, Operator], key: bytes, syllables: int
    ) -> None:
        self._chosen = chosen
        self._keyed = Keyed(key)
        self._syllables = syllables
        self._surrogates = Surrogates(self._keyed)

    def pseudonym(self, kind: str, value: str) -> str:
        """The same whatever the value's case and spacing."""
        number = int.from_bytes(self._keyed.digest(kind, normal(kind, value))[:16])
        code = ""
        for _ in range(self._syllables):
            number, index = divmod(number, len(SYLLABLES))
            code += SYLLABLES[index]
        return f"{_prefix(kind)}-{code}"

    def written(self, kind: str, value: str, document: str) -> str:
        """What stands for this value in the text in the end; `document` is all that was masked in
        one go, on which dates depend."""
        operator = operator_of(self._chosen, kind)
        if operator == "redact":
            return ""
        if operator == "replace":
            return f"<{kind}>"
        if operator == "hash":
            code = self._keyed.digest("", "hash", kind, normal(kind, value)).hex()
            return f"{_prefix(kind)}-0x{code[:HASH_DIGITS]}"
        if operator == "surrogate":
            surrogate = self._surrogates.of(kind, value, document)
            return self.pseudonym(kind, value) if surrogate is None else surrogate
        if operator in ("mask", "mask_last_4"):
            return _starred(normal(kind, value), KEPT if operator == "mask_last_4" else 0)
        return self.pseudonym(kind, value)


def in_force(
    chosen: Operator | Mapping[str, Operator], kinds: Iterable[str]
) -> Operator | dict[str, Operator]:
    """The operator of each of these kinds; only the usual one, where all have it."""
    by_kind = {kind: operator_of(chosen, kind) for kind in kinds}
    return by_kind if set(by_kind.values()) - {"pseudonymize"} else "pseudonymize"


def stands_for_one(written: str) -> bool:
    """Whether it tells its value from others: the vault knows whose it is."""
    return not written.startswith(("<", "*")) and written != ""


def untouchable(
    chosen: Operator | Mapping[str, Operator], kinds: Iterable[str], syllables: int
) -> re.Pattern[str]:
    """Pseudonyms, and what the operators of these kinds write in a form of its own; the breaks
    between the parts of a whole."""
    kinds = list(kinds)
    prefixes = "|".join(sorted({re.escape(_prefix(kind)) for kind in kinds}))
    names = "|".join(re.escape(kind) for kind in kinds)
    ours = [rf"\b(?:{prefixes})-{CODE}{{{syllables}}}\b", f"<(?:{names})>", BREAK, COLUMNS_END]
    if any(operator_of(chosen, kind) == "hash" for kind in kinds):
        ours.append(rf"\b(?:{prefixes})-0x[0-9a-f]{{{HASH_DIGITS}}}\b")
    ours += forms(kind for kind in kinds if operator_of(chosen, kind) == "surrogate")
    return re.compile("|".join(ours))


def _starred(plain: str, kept: int) -> str:
    """A star for each character but spaces, and the last digits of a number."""
    number = len(plain) >= KEPT_FROM and plain[len(plain) - kept :].isdecimal()
    hidden = plain[: len(plain) - kept] if number else plain
    return re.sub(r"\S", "*", hidden) + plain[len(hidden) :]


def _prefix(kind: str) -> str:
    """PERSON -> Person, PHONE_NUMBER -> Phone, CREDIT_CARD -> CreditCard."""
    words = re.sub(r"_(NUMBER|ADDRESS|CODE)$", "", kind).split("_")
    return "".join(word.capitalize() for word in words)
