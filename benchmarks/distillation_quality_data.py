"""Banking77 (Casanueva et al., 2020) as instruction pairs, and pairs as a dataset."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from pathlib import Path

import pyarrow as pa

from stillhouse.config.dataset import ClassificationTask
from stillhouse.dataset.pairs import pair_schema
from stillhouse.storage.tables import write_table
from stillhouse.tasks.classification import class_token
from stillhouse.tasks.common import Row

TASK = ClassificationTask(
    name="intent",
    kind="classification",
    sources=["banking77"],
    instruction="Name the intent of this customer query.",
    min_examples=1,
)


def banking77(folder: Path, intents: int, queries: int, spare: int) -> tuple[list[Row], list[Row]]:
    """Pairs with their split: of `intents` chosen by a seed, `queries` training queries each (a
    tenth of them for validation) and all test queries; and `spare` further ones each, apart."""
    chosen: list[str] = []
    rows: dict[str, list[Row]] = {"labelled": [], "unlabelled": []}
    for name in ("train", "test"):
        by_intent = defaultdict(list)
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            for number, row in enumerate(csv.DictReader(stream)):
                by_intent[row["category"]].append((f"{name}-{number:05d}", row["text"]))
        chosen = chosen or sorted(random.Random(1).sample(sorted(by_intent), intents))
        for intent in chosen:
            found = by_intent[intent]
            if name == "train":
                random.Random(intent).shuffle(found)
                found = found[: queries + spare]
            for place, (key, text) in enumerate(found):
                labelled = name == "test" or place < queries
                validation = name == "train" and labelled and place % 10 == 9
                rows["labelled" if labelled else "unlabelled"].append(
                    {
                        "pair_id": key,
                        "task": TASK.name,
                        "doc_id": key,
                        "group_id": key,
                        "source": "banking77",
                        "label": intent,
                        "instruction": TASK.instruction,
                        "input": text,
                        "response": class_token(TASK.name, intent),
                        "split": "validation" if validation else name,
                    }
                )
    return rows["labelled"], rows["unlabelled"]


def write_dataset(path: Path, rows: list[Row]) -> Path:
    """Pairs with their split as `dataset_splits` keeps them."""
    schema = pair_schema().append(pa.field("split", pa.string()))
    write_table(path, pa.Table.from_pylist(rows, schema=schema))
    return path
