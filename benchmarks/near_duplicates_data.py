"""Corpora for the near-duplicates benchmark, each with the true Jaccard of its similar pairs.

A corpus is a folder with documents.parquet (doc_id, text, created_at, position) and truth.parquet
(a, b, jaccard), a < b: every pair that shares a notable part of its shingles.
"""

from __future__ import annotations

import csv
import gzip
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillhouse.corpus.dedup import minhash
from stillhouse.corpus.dedup.clusters import normalise

BLOCK = 10_000
VOCABULARY = 50_000
TRUTH = pa.schema([("a", pa.string()), ("b", pa.string()), ("jaccard", pa.float64())])
DOCUMENTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("text", pa.string()),
        ("created_at", pa.timestamp("s", tz="UTC")),
        ("position", pa.int64()),
    ]
)


def synthetic(folder: Path, documents: int, seed: int) -> None:
    """Texts of 60 to 220 words from a skewed vocabulary; of each 100 documents

    - 75 are like no other;
    - 20 are in pairs whose Jaccard lies between 0.6 and 1.0, evenly: words replaced here and there,
      or a passage replaced, or a passage left out, or only case and punctuation changed;
    - 5 are in chains of four versions, each near to the one before.
    """
    syllables = [c + v for c in "bcdfghklmnprstvz" for v in "aeiou"]
    rng = np.random.default_rng(seed)
    words = np.array(
        [
            "".join(rng.choice(syllables, rng.integers(1, 5))) + str(i % 10)
            for i in range(VOCABULARY)
        ],
        dtype=object,
    )
    folder.mkdir(parents=True, exist_ok=True)
    with (
        pq.ParquetWriter(folder / "documents.parquet", DOCUMENTS) as texts_file,
        pq.ParquetWriter(folder / "truth.parquet", TRUTH) as truth_file,
    ):
        for start in range(0, documents, BLOCK):
            count = min(BLOCK, documents - start)
            texts, truth = _block(words, count, np.random.default_rng([seed, start]))
            ids = [f"{start + i:09d}" for i in range(count)]
            days = np.random.default_rng([seed, start, 1]).integers(0, 10**8, count)
            texts_file.write_table(
                pa.table(
                    [ids, texts, (days + 1_600_000_000).tolist(), range(start, start + count)],
                    schema=DOCUMENTS,
                )
            )
            rows = [(*sorted((ids[i], ids[j])), similarity) for i, j, similarity in truth]
            truth_file.write_table(pa.table(list(zip(*rows, strict=True)), schema=TRUTH))


def _block(
    words: Any, count: int, rng: np.random.Generator
) -> tuple[list[str], list[tuple[int, int, float]]]:
    def draw() -> list[str]:
        skewed = (rng.random(rng.integers(60, 220)) ** 2.5 * VOCABULARY).astype(int)
        return list(words[skewed])

    families: list[list[str]] = []
    for _ in range(count // 10):
        origin = draw()
        families.append([" ".join(origin), _variant(origin, words, rng)])
    for _ in range(count // 80):
        versions = [draw()]
        for _ in range(3):
            changed = list(versions[-1])
            for place in rng.integers(0, len(changed), max(1, len(changed) // 80)):
                changed[place] = words[rng.integers(VOCABULARY)]
            versions.append(changed)
        families.append([" ".join(version) for version in versions])

    order = rng.permutation(count).tolist()
    texts = [""] * count
    truth = []
    for family in families:
        places = [order.pop() for _ in family]
        sets = [_shingles(text) for text in family]
        for i, place in enumerate(places):
            texts[place] = family[i]
            for j in range(i):
                jaccard = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
                truth.append((place, places[j], jaccard))
    for place in order:
        texts[place] = " ".join(draw())
    return texts, truth


def _variant(origin: list[str], words: Any, rng: np.random.Generator) -> str:
    target = rng.uniform(0.6, 1.0)
    shingles = len(origin) - 4
    lost = round(shingles * (1 - target) / (1 + target))
    changed = list(origin)
    way = rng.integers(4)
    if way == 0:  # a replaced word costs the five shingles that it is in
        for place in np.linspace(4, len(origin) - 5, lost // 5).astype(int):
            changed[place] = words[rng.integers(VOCABULARY)]
    elif way == 1:
        length = max(0, lost - 4)
        place = int(rng.integers(0, len(origin) - length))
        changed[place : place + length] = words[rng.integers(0, VOCABULARY, length)]
    elif way == 2:
        length = round(shingles * (1 - target))
        changed = changed[length:] if rng.integers(2) else changed[: len(changed) - length]
    else:
        return ", ".join(changed).capitalize() + "."
    return " ".join(changed)


def _shingles(text: str) -> set[tuple[str, ...]]:
    """Word 5-grams in plain Python: the benchmark's own measure of what is true."""
    words = re.sub(r"[.,]", "", text.lower()).split()
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def banking77(folder: Path, source: Path) -> None:
    """Customer queries of about 12 words: short texts, where one word is much."""
    texts = []
    for name in ("train.csv", "test.csv"):
        with (source / name).open(encoding="utf-8", newline="") as stream:
            texts += [row["text"] for row in csv.DictReader(stream)]
    _write_real(folder, texts)


def manuals(folder: Path, source: Path, nlp_model: str) -> None:
    """Paragraphs of the HTML, PDF and text files below `source`, gzipped or not.

    The same manual in three formats and several languages: the same paragraphs with other line
    breaks, hyphens, ligatures and neighbours.
    """
    _write_real(folder, list(_paragraphs(source, nlp_model)))


def _paragraphs(source: Path, nlp_model: str) -> Iterator[str]:
    from stillhouse.corpus.parse.files import Unparsable, parse_file

    suffixes = {".html", ".pdf", ".txt"}
    files = sorted(p for p in source.rglob("*") if p.is_file() and suffixes & set(p.suffixes[-2:]))
    for count, path in enumerate(files, 1):
        print(f"parsing {count}/{len(files)} {path.name}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            plain = path
            if path.suffix == ".gz":
                plain = Path(scratch) / path.stem
                plain.write_bytes(gzip.decompress(path.read_bytes()))
            try:
                parsed = parse_file(plain, nlp_model=nlp_model)
            except Unparsable as error:
                print(f"  left out: {error}")
                continue
        for paragraph in re.split(r"\n\s*\n", parsed.text):
            if len(paragraph) >= 60:
                yield paragraph


def _write_real(folder: Path, texts: list[str]) -> None:
    """Documents, and their true pairs by comparing every pair that shares a single shingle."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = [f"{i:09d}" for i in range(len(texts))]
    table = pa.table([ids, texts, [None] * len(ids), range(len(ids))], schema=DOCUMENTS)
    pq.write_table(table, folder / "documents.parquet")
    hashes, ends = minhash.shingles(pa.array([normalise(text) for text in texts]))
    owners = np.repeat(np.arange(len(ids)), np.diff(ends))
    shingled = pa.table({"id": owners, "shingle": hashes})
    with duckdb.connect() as db:
        db.register("shingled", shingled)
        db.execute("CREATE TABLE s AS SELECT DISTINCT id, shingle FROM shingled")
        db.execute("CREATE TABLE sizes AS SELECT id, count(*) AS size FROM s GROUP BY id")
        truth = db.sql(
            """SELECT format('{:09d}', x.id) AS a, format('{:09d}', y.id) AS b,
                      count(*) / (any_value(m.size) + any_value(n.size) - count(*)) AS jaccard
               FROM s x JOIN s y ON x.shingle = y.shingle AND x.id < y.id
               JOIN sizes m ON m.id = x.id JOIN sizes n ON n.id = y.id
               GROUP BY x.id, y.id HAVING jaccard >= 0.3"""
        ).to_arrow_table()
    pq.write_table(truth.cast(TRUTH), folder / "truth.parquet")
