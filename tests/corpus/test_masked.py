from __future__ import annotations

from stillhouse.corpus.masked import until_clean
from stillhouse.corpus.pii.masker import Masked, Masker, MaskSettings

# To a recognizer of names, a pseudonym and the word before it look like first and last name.
MISREAD = [
    "The contracts look terrible. The toner is new. Call Person-notedo on Phone-kabidu.",
    "We hope you could help. We have kept a sample. Customer Person-vureta has sent a letter.",
]


def test_what_a_second_scan_finds_is_masked_too() -> None:
    masker = Masker(MaskSettings(), b"a key of more than sixteen bytes")
    harmless = "The printer on floor 3 jams."
    assert all(masker.residual(text) for text in MISREAD)
    texts, left = until_clean(masker, [Masked(text, []) for text in [*MISREAD, harmless]])
    assert [found.entities for found in left] == [[], [], []]
    assert [len(text.entities) for text in texts] == [1, 1, 0]
    for original, masked in zip(MISREAD, texts, strict=False):
        (entity,) = masked.entities
        assert original[entity.start : entity.end] in ("Call", "Customer")
        assert masked.text == original.replace(
            original[entity.start : entity.end], entity.pseudonym
        )
    assert texts[2].text == harmless
