from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stillhouse.corpus.dedup import graph, minhash
from stillhouse.corpus.dedup.clusters import (
    DedupSettings,
    candidate_probability,
    cluster_documents,
    normalise,
)
from stillhouse.errors import UserError

ONE_THREAD = DedupSettings(threads=1, memory_limit="200MB")


def table(texts: list[str] | dict[str, str], **columns: list[Any]) -> pa.Table:
    if isinstance(texts, list):
        texts = {f"d{i:04d}": text for i, text in enumerate(texts)}
    return pa.table({"doc_id": list(texts), "text": list(texts.values()), **columns})


def rows(result: pa.Table) -> dict[str, dict[str, Any]]:
    return {row["doc_id"]: row for row in result.to_pylist()}


def sentence(seed: int, words: int = 60) -> list[str]:
    return [f"w{i}" for i in np.random.default_rng(seed).integers(0, 10_000, words)]


def edited(words: list[str], changes: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    out = list(words)
    for place in rng.choice(len(words), changes, replace=False):
        out[place] = f"x{rng.integers(10**9)}"
    return out


def small_corpus(seed: int, families: int = 12) -> list[str]:
    """Families of texts, each an edit of an earlier one: similarities from 0 to 1, and chains."""
    rng = np.random.default_rng(seed)
    texts = []
    for family in range(families):
        members = [sentence(1000 * seed + family, int(rng.integers(12, 90)))]
        for _ in range(rng.integers(0, 8)):
            origin = members[rng.integers(len(members))]
            members.append(edited(origin, int(rng.integers(0, 4)), int(rng.integers(10**9))))
        texts += [" ".join(member) for member in members]
    return texts


def all_jaccard(texts: list[str]) -> np.ndarray[Any, Any]:
    """Brute force: every pair, by sets of tuples of words."""
    sets = [{tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in map(str.split, texts)]
    return np.array([[len(a & b) / len(a | b) for b in sets] for a in sets])


# --- normalisation ---


@given(st.text())
@example("e\u200d\u0301")
@example("ﬀ.İ")
@settings(max_examples=500)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
@settings(max_examples=300)
def test_the_fast_way_for_ascii_gives_the_same(text: str) -> None:
    soft_hyphen = "\u00ad"  # vanishes, but is not ASCII
    assert normalise(text + soft_hyphen) == normalise(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The  Quick\tbrown\nfox", "the quick brown FOX"),
        ("“don’t” — stop…", "'don't' - stop..."),
        ("ﬁle ｆｕｌｌ", "file full"),
        ("infor\u00admation\ufeff", "information"),
        ("Straße", "STRASSE"),
        ("| a | b |\n|---|---|", "a b"),
        ("cafe\u0301", "café"),
        ("សួស្តី\u200bពិភពលោក", "សួស្តីពិភពលោក"),
    ],
)
def test_what_converters_change_does_not_count(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("$5", "£5"), ("a < b", "a > b"), ("great 👍", "great 👎"), ("résumé", "resume"), ("?", "!")],
)
def test_what_changes_the_meaning_counts(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


# --- exact duplicates and short texts ---


def test_exact_duplicates_up_to_case_space_and_punctuation() -> None:
    result = rows(
        cluster_documents(table(["Pay now!", "pay  NOW", "pay later", "Pay\nnow…"]), ONE_THREAD)
    )
    assert [r["cluster_id"] for r in result.values()] == ["d0000", "d0000", "d0002", "d0000"]
    assert [r["kind"] for r in result.values()] == ["unique", "exact", "unique", "exact"]
    assert all(r["similarity"] == 1.0 for r in result.values())


def test_empty_texts_are_copies_of_each_other_and_near_to_nothing() -> None:
    result = rows(cluster_documents(table(["", "hi", "  \n", "a"]), ONE_THREAD))
    assert [r["kind"] for r in result.values()] == ["unique", "unique", "exact", "unique"]
    missing = pa.table({"doc_id": ["a", "b"], "text": pa.array([None, ""], pa.string())})
    assert cluster_documents(missing, ONE_THREAD)["kind"].to_pylist() == ["unique", "exact"]


def test_texts_of_fewer_than_five_words_are_compared_by_characters() -> None:
    long_words = "intercompany reconciliation postponed indefinitely"
    result = rows(
        cluster_documents(table([long_words, long_words + "s", "another thing", "hi"]), ONE_THREAD)
    )
    assert result["d0001"]["kind"] == "near"
    assert result["d0001"]["similarity"] == pytest.approx(46 / 47)
    assert [r["kind"] for r in result.values()].count("unique") == 3


@pytest.mark.parametrize(
    ("text", "changed", "other"),
    [
        ("本合同自双方签字盖章之日起生效，有效期为三年，期满后可以续签。" * 2, "五", "中"),
        ("ข้อตกลงนี้มีผลบังคับใช้ตั้งแต่วันที่ลงนามเป็นต้นไปและมีอายุสามปี", "ห้า", "ก"),
        ("ສັນຍານີ້ມີຜົນບັງຄັບໃຊ້ຕັ້ງແຕ່ວັນທີ່ເຊັນເປັນຕົ້ນໄປແລະມີອາຍຸສາມປີ", "ຫ້າ", "ກ"),
        ("កិច្ចព្រមព្រៀងនេះមានប្រសិទ្ធភាពចាប់ពីថ្ងៃចុះហត្ថលេខាតទៅ", "ប្រាំ", "ក"),
        ("ဤစာချုပ်သည်လက်မှတ်ရေးထိုးသည့်နေ့မှစ၍အကျိုးသက်ရောက်သည်", "ငါး", "က"),
    ],
)
def test_scripts_without_spaces(text: str, changed: str, other: str) -> None:
    """One changed word at the end of an unbroken line leaves a near-duplicate."""
    texts = [text, text + changed, other * 60]
    kinds = cluster_documents(table(texts), ONE_THREAD)["kind"].to_pylist()
    assert kinds == ["unique", "near", "unique"]


# --- near-duplicates against brute force ---


@given(st.integers(0, 10**6), st.sampled_from([0.6, 0.8, 0.9]))
@settings(max_examples=8, deadline=None)
def test_clusters_keep_their_promises(seed: int, threshold: float) -> None:
    texts = small_corpus(seed)
    exact = all_jaccard(texts)
    config = DedupSettings(threshold=threshold, threads=1, memory_limit="200MB")
    result = list(rows(cluster_documents(table(texts), config)).values())
    number = {row["doc_id"]: i for i, row in enumerate(result)}
    leader = np.array([number[row["cluster_id"]] for row in result])
    for i, row in enumerate(result):
        assert row["similarity"] == exact[i, leader[i]]
        assert row["similarity"] >= threshold
        assert row["is_representative"] == (leader[i] == i) == (row["kind"] == "unique")
    # A pair this far above the threshold shares a band but for once in a million pairs.
    sure = np.argwhere(np.triu(exact >= threshold + 0.6 * (1 - threshold), 1))
    family = [row["family_id"] for row in result]
    for i, j in sure:
        assert family[i] == family[j]
        assert not (result[i]["is_representative"] and result[j]["is_representative"])


@given(st.integers(0, 10**6), st.sampled_from(["newest", "longest", "first"]))
@settings(max_examples=4, deadline=None)
def test_order_and_threads_change_nothing(seed: int, keep: Any) -> None:
    texts = small_corpus(seed)
    days = np.random.default_rng(seed).integers(0, 5, len(texts))
    documents = table(texts, created_at=[f"2025-01-{day + 1:02d}" for day in days])
    shuffled = documents.take(np.random.default_rng(seed + 1).permutation(len(texts)))
    one = DedupSettings(keep=keep, threads=1, memory_limit="200MB")
    two = DedupSettings(keep=keep, threads=2, memory_limit="300MB")
    assert cluster_documents(documents, one) == cluster_documents(shuffled, two)


@given(st.integers(0, 10**6))
@settings(max_examples=5, deadline=None)
def test_what_is_set_apart_is_clustered_by_itself_in_families_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = [text for text in small_corpus(seed) for _ in range(rng.integers(1, 4))]
    apart = [str(n) if n else None for n in rng.integers(0, 3, len(texts))]
    exact = all_jaccard(texts)
    together = list(rows(cluster_documents(table(texts), ONE_THREAD)).values())
    result = list(rows(cluster_documents(table(texts, apart=apart), ONE_THREAD)).values())
    number = {row["doc_id"]: i for i, row in enumerate(result)}
    for i, row in enumerate(result):
        leader = number[row["cluster_id"]]
        assert apart[i] == apart[leader]
        assert row["similarity"] == exact[i, leader] >= 0.8
        assert row["kind"] != "exact" or texts[i] == texts[leader]
    for i, j in np.argwhere(np.triu(exact >= 0.92, 1)):
        assert result[i]["family_id"] == result[j]["family_id"]
        both = result[i]["is_representative"] and result[j]["is_representative"]
        assert apart[i] != apart[j] or not both
    # Bands bring the same texts together.
    assert {r["doc_id"]: r["family_id"] for r in together} == {
        r["doc_id"]: r["family_id"] for r in result
    }


def test_more_texts_set_apart_than_a_bucket_compares_pair_by_pair() -> None:
    words = sentence(5)
    versions = [" ".join(words), " ".join([*words, "more"])]
    texts = [versions[n % 2] for n in range(100)]
    apart = [str(n // 2) for n in range(100)]
    result = cluster_documents(table(texts, apart=apart), ONE_THREAD)
    assert result["kind"].to_pylist() == ["unique", "near"] * 50
    assert set(result["family_id"].to_pylist()) == {"d0000"}


def test_a_chain_is_one_family_and_several_clusters() -> None:
    """Each version is near to the last one; the ends have little in common."""
    versions = [sentence(1, 100)]
    for place in range(10, 90, 3):
        versions.append([*versions[-1][:place], "new", *versions[-1][place + 1 :]])
    texts = [" ".join(v) for v in versions]
    exact = all_jaccard(texts)
    config = DedupSettings(keep="first", threads=1, memory_limit="200MB")
    documents = table(texts, position=list(range(len(texts))))
    result = list(rows(cluster_documents(documents, config)).values())
    assert exact[0, -1] < 0.1
    assert {row["family_id"] for row in result} == {"d0000"}
    kept = [i for i, row in enumerate(result) if row["is_representative"]]
    assert len(kept) > 5
    assert exact[np.ix_(kept, kept)][~np.eye(len(kept), dtype=bool)].max() < 0.8


def test_a_giant_bucket_of_boilerplate(monkeypatch: pytest.MonkeyPatch) -> None:
    """3,000 copies with another number each: one cluster, by far fewer than all comparisons."""
    compared = 0
    agreement = minhash.agreement

    def counted(left: Any, right: Any) -> Any:
        nonlocal compared
        compared += len(left)
        return agreement(left, right)

    monkeypatch.setattr(minhash, "agreement", counted)
    notice = " ".join(sentence(5, 150))
    texts = [f"{notice} ticket {i}" for i in range(3000)] + [" ".join(sentence(6, 150))]
    result = cluster_documents(table(texts), ONE_THREAD)
    assert result["is_representative"].to_numpy().sum() == 2
    assert result["similarity"].to_numpy().min() >= 0.8
    assert 0 < compared < 3000 * 3 * graph.PIVOTS


def test_two_kinds_of_text_in_the_same_buckets() -> None:
    """Template letters share much, but only those of one kind are near-duplicates."""
    frame = sentence(7, 60)
    texts = []
    for kind in range(40):
        body = sentence(100 + kind, 40)
        texts += [" ".join(frame + edited(body, 1, copy)) for copy in range(3)]
    exact = all_jaccard(texts)
    result = list(rows(cluster_documents(table(texts), ONE_THREAD)).values())
    assert 0.3 < exact[0, 3] < 0.7
    for kind in range(40):
        clusters = {row["cluster_id"] for row in result[3 * kind : 3 * kind + 3]}
        assert len(clusters) == 1
        assert clusters.isdisjoint(r["cluster_id"] for r in result[3 * kind + 3 :])


# --- which one is kept ---


def test_the_representative() -> None:
    words = sentence(9, 100)
    texts = {
        "a": " ".join(words),
        "b": " ".join([*words, "one", "more"]),
        "c": " ".join(edited(words, 1)),
        "d": " ".join(words).upper(),
    }
    documents = table(
        texts,
        created_at=["2024-05-01T10:00:00+02:00", "2024-05-01", None, "2024-05-01T08:30:00Z"],
        position=[3, 2, 1, None],
    )
    kept = {}
    for keep in ("newest", "longest", "first"):
        config = DedupSettings(keep=keep, threads=1, memory_limit="200MB")  # type: ignore[arg-type]
        (kept[keep],) = set(cluster_documents(documents, config)["cluster_id"].to_pylist())
    assert kept == {"newest": "d", "longest": "b", "first": "c"}


def test_who_has_more_labels_is_kept_whatever_else_is_preferred() -> None:
    words = sentence(9, 100)
    texts = {"a": " ".join(words), "b": " ".join([*words, "more"]), "c": " ".join(words)}
    for labels, expected in [([0, 1, None], "b"), ([1, 1, 2], "c"), ([0, 0, 0], "a")]:
        documents = table(texts, created_at=["2025-01-02", None, None], labels=labels)
        kept = set(cluster_documents(documents, ONE_THREAD)["cluster_id"].to_pylist())
        assert kept == {expected}


def test_dates_as_timestamps_mean_the_same_as_strings() -> None:
    words = " ".join(sentence(3))
    moments = [datetime(2025, 1, 1, 12, tzinfo=UTC), datetime(2025, 1, 2, tzinfo=UTC), None]
    texts = [words, words + " x", words + " y"]
    strings = table(texts, created_at=[m and m.isoformat() for m in moments])
    stamps = table(texts, created_at=pa.array(moments, pa.timestamp("ms", tz="Asia/Bangkok")))
    result = cluster_documents(strings, ONE_THREAD)
    assert result == cluster_documents(stamps, ONE_THREAD)
    assert set(result["cluster_id"].to_pylist()) == {"d0001"}


# --- inputs, limits, errors ---


def test_table_stream_and_files_are_the_same(tmp_path: Path) -> None:
    documents = table(small_corpus(11))
    whole = cluster_documents(documents, ONE_THREAD)
    reader = pa.RecordBatchReader.from_batches(
        documents.schema, documents.to_batches(max_chunksize=7)
    )
    assert cluster_documents(reader, ONE_THREAD) == whole
    folder = tmp_path / "documents"
    folder.mkdir()
    pq.write_table(documents.slice(0, 20), folder / "1.parquet")
    pq.write_table(documents.slice(20), folder / "2.parquet", row_group_size=9)
    assert cluster_documents(folder, ONE_THREAD) == whole
    single = tmp_path / "it's one.parquet"
    pq.write_table(documents.append_column("more", [[1] * len(documents)]), single)
    assert cluster_documents(single, ONE_THREAD) == whole


def test_no_documents() -> None:
    result = cluster_documents(table([]).cast(table(["a"]).schema), ONE_THREAD)
    assert result.num_rows == 0
    assert "family_id" in result.schema.names


def test_a_small_memory_limit_is_kept_by_spilling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are larger than the limit; the result is the same."""
    spilled: list[int] = []

    form = graph.Graph.form

    def measured(graph: graph.Graph, bands: int) -> None:
        form(graph, bands)
        files = graph.db.sql("FROM duckdb_temporary_files()").fetchall()
        spilled.append(sum(size for _, size in files))

    monkeypatch.setattr(graph.Graph, "form", measured)
    words = [f"w{i}" for i in range(5000)]
    rng = np.random.default_rng(0)
    base = [" ".join(words[j] for j in row) for row in rng.integers(0, 5000, (60_000, 12))]
    documents = table([*base, *(f"{text} again" for text in base[::10])])
    tight = DedupSettings(memory_limit="45MB", threads=1)
    roomy = DedupSettings(memory_limit="1GB", threads=2)
    found = cluster_documents(documents, tight, work_dir=tmp_path)
    assert found["kind"].to_pylist().count("near") == 6000
    assert found == cluster_documents(documents, roomy)
    assert spilled[0] > 1_000_000
    assert spilled[1] == 0
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_said_plainly() -> None:
    with pytest.raises(UserError, match="memory_limit"):
        cluster_documents(table(small_corpus(1)), DedupSettings(memory_limit="1KB"))
    with pytest.raises(UserError, match=r"memory_limit: 'a lot'"):
        cluster_documents(table(["a"]), DedupSettings(memory_limit="a lot"))


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (pa.table({"id": ["a"], "text": ["b"]}), "no column 'doc_id' among id, text"),
        (pa.table({"doc_id": ["a", "a"], "text": ["b", "c"]}), "a doc_id comes twice"),
        (pa.table({"doc_id": pa.array([None], pa.string()), "text": ["b"]}), "no doc_id"),
        (
            pa.table({"doc_id": ["a"], "text": ["b"], "created_at": ["yesterday"]}),
            "created_at: a value is not an ISO 8601 date",
        ),
    ],
)
def test_wrong_input_is_named(documents: pa.Table, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        cluster_documents(documents, ONE_THREAD)
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": 1.1},
        {"permutations": 0},
        {"bands": 20, "rows": 7},
        {"keep": "oldest"},
        {"threads": 0},
        {"seed": -1},
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=rf"dedup\.{next(iter(wrong))}"):
        DedupSettings(**wrong)


def test_bands_follow_the_threshold() -> None:
    assert DedupSettings(0.8).banding == (20, 6)
    assert candidate_probability(0.8, 20, 6) == pytest.approx(0.9977, abs=1e-4)
    previous = defaultdict(int)
    for threshold in (0.3, 0.5, 0.7, 0.9, 0.95):
        bands, length = DedupSettings(threshold).banding
        assert candidate_probability(threshold, bands, length) >= 0.99
        assert length > previous["rows"]
        previous["rows"] = length
    assert DedupSettings(1.0).banding == (1, 120)
