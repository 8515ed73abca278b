from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stillhouse.config.dataset import Task
from stillhouse.dataset.pairs import classification_pairs, split_passages

TASK = Task(
    name="routing",
    kind="classification",
    sources=["tickets", "wiki"],
    min_examples=2,
    passage_words=20,
    max_passages=2,
)


def document(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "doc_id": f"d{n}",
        "family_id": f"d{n}",
        "source": "tickets",
        "kind": "records",
        "text": f"text number {n}",
        "label": "billing",
        "confidentiality": "internal",
        "created_at": None,
        **changes,
    }


def test_a_record_is_a_pair_whose_response_is_its_label_token() -> None:
    table, _ = classification_pairs([document(1), document(2)], [TASK], "internal")
    rows = table.to_pylist()
    assert {r["input"] for r in rows} == {"text number 1", "text number 2"}
    assert {r["response"] for r in rows} == {"<|routing:billing|>"}
    assert len({r["pair_id"] for r in rows}) == 2


def test_what_gives_no_pair_is_counted() -> None:
    documents = [
        *[document(n) for n in range(3)],
        document(3, confidentiality="restricted"),
        document(4, label=None),
        document(5, label="rare"),
        document(6, source="elsewhere"),
    ]
    table, counts = classification_pairs(documents, [TASK], "confidential")
    assert table.num_rows == 3
    assert (counts.too_confidential, counts.unlabelled) == (1, 1)
    assert counts.rare_labels == {"routing:rare": 1}


def test_a_long_document_gives_a_few_passages_and_says_what_it_left_out() -> None:
    text = "\n\n".join(f"paragraph {n} " + "word " * 18 for n in range(6))
    long = document(1, kind="documents", source="wiki", text=text)
    table, counts = classification_pairs([long, document(2)], [TASK], "internal")
    assert sum(r["doc_id"] == "d1" for r in table.to_pylist()) == 2
    assert counts.passages_left_out == 4


@given(st.lists(st.integers(1, 90), min_size=1, max_size=12), st.integers(20, 60))
def test_passages_keep_every_word_in_order(sizes: list[int], words: int) -> None:
    paragraphs = [" ".join(f"w{i}_{j}" for j in range(n)) for i, n in enumerate(sizes)]
    passages = list(split_passages("\n\n".join(paragraphs), words))
    assert " ".join(passages) == " ".join(paragraphs)
    assert all(len(p.split()) <= 1.75 * words for p in passages)
