"""What a run keeps for the next one: the same clusters as from scratch, for less work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillhouse.corpus.dedup import graph, minhash
from stillhouse.corpus.dedup.clusters import DedupSettings, cluster_documents
from stillhouse.errors import UserError
from tests.corpus.dedup.test_clusters import ONE_THREAD, edited, sentence, small_corpus, table


def count_of(result: pa.Table, what: str) -> int:
    return int(result.schema.metadata[what.encode()])


def signed(memory: Path) -> pa.Table:
    return pa.concat_tables(map(pq.read_table, sorted(memory.glob("signatures-*.parquet"))))


class Growing:
    """Documents that come, go and change; each version of them is clustered in both ways."""

    def __init__(self, seed: int, memory: Path) -> None:
        self.rng = np.random.default_rng(seed)
        self.memory = memory
        self.documents: dict[str, dict[str, Any]] = {}
        self.born = 0
        self.asked: list[int] = []

    def change(self) -> None:
        for _ in range(int(self.rng.integers(1, 5))):
            kind = self.rng.choice(["add", "add", "like", "copy", "edit", "remove", "prefer"])
            if kind == "add" or len(self.documents) < 3:
                self.add(" ".join(sentence(int(self.rng.integers(10**6)), 30)))
            elif kind == "copy":
                self.add(str(self.one()["text"]).upper())
            elif kind == "like":
                self.add(self.edited())
            elif kind == "edit":
                self.one()["text"] = self.edited()
            elif kind == "prefer":
                self.one()["labels"] = int(self.rng.integers(3))
            else:
                self.documents.pop(str(self.rng.choice(list(self.documents))))

    def add(self, text: str) -> None:
        self.born += 1
        self.documents[f"d{self.rng.integers(10**6)}-{self.born}"] = {
            "text": text,
            "labels": int(self.rng.integers(2)),
            "apart": str(self.rng.choice(["", "", "", "another question"])),
        }

    def one(self) -> dict[str, Any]:
        return self.documents[str(self.rng.choice(list(self.documents)))]

    def edited(self) -> str:
        words = str(self.one()["text"]).lower().split()
        return " ".join(edited(words, int(self.rng.integers(0, 3)), int(self.rng.integers(10**9))))

    def both(self, config: DedupSettings) -> tuple[pa.Table, pa.Table]:
        ids = list(self.documents)
        columns = {name: [self.documents[i][name] for i in ids] for name in ("labels", "apart")}
        texts = [str(self.documents[i]["text"]) for i in ids]
        described = pa.table({"doc_id": ids, "version": texts, **columns})

        def read(wanted: pa.Table) -> pa.RecordBatchReader:
            doc_ids = wanted["doc_id"].to_pylist()
            self.asked.append(len(doc_ids))
            found = {"doc_id": doc_ids, "text": [self.documents[i]["text"] for i in doc_ids]}
            return pa.table(found).to_reader()

        kept = cluster_documents(described, config, memory=self.memory, read=read)
        whole = pa.table({"doc_id": ids, "text": texts, **columns})
        return kept, cluster_documents(whole, config)


# Few bands, so that a run is short, and estimates in which nearly every pair is in doubt.
SMALL = DedupSettings(permutations=18, bands=6, rows=3, threads=1, memory_limit="200MB")


@pytest.mark.parametrize("pivots", [1, 2, 16])
def test_whatever_changes_the_clusters_are_those_from_scratch(
    pivots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in buckets and families that are too large to be compared pair by pair."""
    monkeypatch.setattr(graph, "PIVOTS", pivots)
    monkeypatch.setattr(graph, "FAMILY_PIVOTS", pivots)
    growing = Growing(pivots, tmp_path / "memory")
    for _ in range(25):
        growing.change()
    growing.both(SMALL)
    partly = 0
    for _ in range(6):
        growing.change()
        kept, whole = growing.both(SMALL)
        assert kept == whole
        partly += count_of(kept, "compared") < len(kept) / 2
    assert partly >= 3


def test_of_what_was_known_nothing_is_read(tmp_path: Path) -> None:
    growing = Growing(1, tmp_path / "memory")
    for _ in range(25):
        growing.change()
    growing.both(SMALL)
    assert growing.asked == [len(growing.documents)]
    kept, _ = growing.both(SMALL)
    assert growing.asked == [len(growing.documents)]
    assert (count_of(kept, "hashed"), count_of(kept, "compared")) == (0, 0)
    growing.add("something that nobody has said before")
    kept, whole = growing.both(SMALL)
    assert kept == whole and growing.asked[1:] == [1]
    assert (count_of(kept, "hashed"), count_of(kept, "compared")) == (1, 1)


def test_only_new_texts_are_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    sign = minhash.signatures

    def counted(hashes: Any, offsets: Any, **options: Any) -> Any:
        hashed.append(len(offsets) - 1)
        return sign(hashes, offsets, **options)

    monkeypatch.setattr(minhash, "signatures", counted)
    texts = {f"d{i:03d}": text for i, text in enumerate(dict.fromkeys(small_corpus(4)))}
    first = dict(list(texts.items())[10:])
    cluster_documents(table(first), ONE_THREAD, memory=tmp_path / "memory")
    assert sum(hashed) == len(first)
    hashed.clear()
    grown = texts | {"copy": next(iter(first.values())).upper()}
    kept = cluster_documents(table(grown), ONE_THREAD, memory=tmp_path / "memory")
    assert sum(hashed) == 10
    assert (count_of(kept, "hashed"), count_of(kept, "reused")) == (10, len(first))
    assert kept == cluster_documents(table(grown), ONE_THREAD)


def test_kept_is_what_is_there_and_no_more(tmp_path: Path) -> None:
    def files() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in tmp_path.iterdir()}

    cluster_documents(table(["a b c d e f", "g h i j k l"]), ONE_THREAD, memory=tmp_path)
    written = files()
    cluster_documents(table(["G H I J K L", "a b c d e f"]), ONE_THREAD, memory=tmp_path)
    assert {f: files()[f] for f in written if f.name.startswith("sign")}.items() <= written.items()
    cluster_documents(table(["a b c d e f"]), ONE_THREAD, memory=tmp_path)
    (signature,) = signed(tmp_path)["signature"].to_pylist()
    hashes = minhash.signatures(*minhash.shingles(pa.array(["a b c d e f"])))
    assert np.frombuffer(signature, "<u4").tolist() == hashes[0].tolist()
    (clusters,) = tmp_path.glob("clusters-*.parquet")
    assert pq.read_table(clusters).num_rows == 1
    assert not list(tmp_path.glob(".*"))


def test_a_text_is_hashed_and_kept_once_however_often_it_is_set_apart(tmp_path: Path) -> None:
    texts = ["a b c d e f"] * 3 + ["g h i j k l"]
    documents = table(texts, apart=["1", "2", None, None])
    result = cluster_documents(documents, ONE_THREAD, memory=tmp_path)
    assert count_of(result, "hashed") == 2
    assert signed(tmp_path).num_rows == 2
    again = cluster_documents(documents, ONE_THREAD, memory=tmp_path)
    assert again == result and count_of(again, "hashed") == 0
    assert signed(tmp_path).num_rows == 2


def test_what_other_settings_made_is_not_used(tmp_path: Path) -> None:
    texts = table(small_corpus(8))
    cluster_documents(texts, ONE_THREAD, memory=tmp_path)
    for changed in ({"shingle_words": 3}, {"shingle_chars": 4}, {"seed": 2}, {"permutations": 60}):
        config = DedupSettings(threads=1, memory_limit="200MB", **changed)  # type: ignore[arg-type]
        found = cluster_documents(texts, config, memory=tmp_path)
        assert count_of(found, "reused") == 0
        assert found == cluster_documents(texts, config)
    stricter = DedupSettings(0.9, permutations=60, threads=1, keep="longest")
    found = cluster_documents(texts, stricter, memory=tmp_path)
    assert count_of(found, "hashed") == 0
    assert found == cluster_documents(texts, stricter)


@pytest.mark.parametrize("lost", ["signatures", "documents", "clusters"])
def test_what_is_lost_is_made_again(lost: str, tmp_path: Path) -> None:
    """As after a run that was killed, or a cache that was cleared in part."""
    growing = Growing(2, tmp_path)
    for _ in range(25):
        growing.change()
    growing.both(SMALL)
    growing.add("something that nobody has said before")
    growing.both(SMALL)
    (largest, *_) = sorted(tmp_path.glob(f"{lost}-*.parquet"), key=lambda f: -f.stat().st_size)
    largest.unlink()
    growing.change()
    kept, whole = growing.both(SMALL)
    assert kept == whole


@pytest.mark.parametrize("broken", ["signatures", "clusters"])
def test_a_broken_memory_is_named(broken: str, tmp_path: Path) -> None:
    cluster_documents(table(["a"]), ONE_THREAD, memory=tmp_path)
    for file in tmp_path.glob(f"{broken}-*"):
        file.write_text("no parquet")
    with pytest.raises(UserError, match=r"not what is kept there.*\n.*delete the folder"):
        cluster_documents(table(["a"]), ONE_THREAD, memory=tmp_path)
