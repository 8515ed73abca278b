from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stillhouse.tasks.passages import split_passages


@given(st.lists(st.integers(1, 90), min_size=1, max_size=12), st.integers(20, 60))
def test_passages_keep_every_word_in_order(sizes: list[int], words: int) -> None:
    paragraphs = [" ".join(f"w{i}_{j}" for j in range(n)) for i, n in enumerate(sizes)]
    passages = list(split_passages("\n\n".join(paragraphs), words))
    assert " ".join(passages) == " ".join(paragraphs)
    assert all(len(p.split()) <= 1.75 * words for p in passages)
