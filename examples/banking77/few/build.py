"""Write the queries of this example: all of its intents, ten in training with their label.

    python examples/banking77/few/build.py --banking77 DIR

DIR holds `train.csv` and `test.csv` with the columns "text" and "category". Which query is trained
on and which is kept for validation and test, the project's own steps decide, by what it says; so
the builder lets them deal the queries as the project will, and then takes the labels from all but
ten training queries an intent. Those of validation and test stay: they measure.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from stillhouse.config.project import Project, load_project
from stillhouse.corpus.cleansed import cleanse_documents
from stillhouse.corpus.document_confidentiality import find_confidentiality
from stillhouse.corpus.masked import mask_documents
from stillhouse.corpus.parsed import parse_sources
from stillhouse.corpus.sources import scan_sources
from stillhouse.corpus.unique import unique_documents
from stillhouse.dataset.pairs import build_pairs
from stillhouse.dataset.splits import split_pairs
from stillhouse.storage.files import atomic_file
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import query

HERE = Path(__file__).parent

LABELLED = 10  # training queries an intent


@dataclass(frozen=True)
class Query:
    id: str
    text: str
    category: str


def read(folder: Path, intents: list[str]) -> list[Query]:
    """The queries of these intents in both files; raises `SystemExit` when a file isn't there."""
    found = []
    for name in ("train", "test"):
        path = folder / f"{name}.csv"
        if not path.is_file():
            raise SystemExit(
                f"{path}: not there; ../stillhouse.yaml says where the data comes from"
            )
        with path.open(encoding="utf-8", newline="") as stream:
            found += [
                Query(f"{name}-{number:05d}", row["text"], row["category"])
                for number, row in enumerate(csv.DictReader(stream))
                if row["category"] in intents
            ]
    return found


def dealt(project: Project, queries: list[Query]) -> dict[str, str]:
    """The split of each query by its id, as `project` deals them; copies of another have none."""
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder) / "var")
        write(Path(folder) / "queries.csv", queries)
        source = project.sources[0].model_copy(update={"path": Path(folder) / "queries.csv"})
        project = project.model_copy(update={"sources": [source]})
        scan_sources(project, layout)
        parse_sources(project, layout)
        cleanse_documents(project.cleansing, layout)
        find_confidentiality(project, layout)
        mask_documents(project.privacy, layout)
        unique_documents(project.dedup, layout)
        build_pairs(project, layout)
        split_pairs(project, layout)
        rows = query(
            "SELECT record_id, split FROM dataset JOIN documents USING (doc_id)",
            dataset=layout.table("dataset_splits"),
            documents=layout.table("parsed_documents"),
        ).to_pylist()
    return {row["record_id"]: row["split"] for row in rows}


def few(queries: list[Query], splits: dict[str, str], labelled: int, seed: int) -> list[Query]:
    """The queries, those of training without their category but for `labelled` an intent.

    Copies lose theirs too. Raises `SystemExit` when an intent has fewer in training.
    """
    by_intent: dict[str, list[str]] = defaultdict(list)
    for q in queries:
        if splits.get(q.id) == "train":
            by_intent[q.category].append(q.id)
    keep = {key for key, split in splits.items() if split != "train"}
    for intent in sorted({q.category for q in queries}):
        found = by_intent[intent]
        if len(found) < labelled:
            raise SystemExit(
                f"{intent}: {len(found)} queries in training, but {labelled} asked for"
            )
        found.sort(key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).hexdigest())
        keep.update(found[:labelled])
    return [q if q.id in keep else replace(q, category="") for q in queries]


def write(path: Path, queries: list[Query]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["id", "text", "category"])
        rows.writerows([q.id, q.text, q.category] for q in queries)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--banking77", type=Path, required=True, help="train.csv and test.csv")
    parser.add_argument("--out", type=Path, default=HERE / "data", help="folder to write to")
    parser.add_argument("--labelled", type=int, default=LABELLED, help="an intent, in training")
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args(arguments)
    project = load_project(HERE)
    queries = read(chosen.banking77, project.tasks[0].labels)
    splits = dealt(project, queries)
    written = few(queries, splits, chosen.labelled, chosen.seed)
    write(chosen.out / "queries.csv", written)
    counted = Counter(
        (splits.get(q.id, "copy"), "labelled" if q.category else "unlabelled") for q in written
    )
    for (split, how), number in sorted(counted.items()):
        print(f"{split:>10} {how:<10} {number:>5}", file=sys.stderr)


if __name__ == "__main__":
    main()
