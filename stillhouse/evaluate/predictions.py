"""A model's class probabilities on a split, as a table that the report reads without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.lm.scoring import Embeddings, label_probabilities
from stillhouse.lm.tasks import EncodedTask
from stillhouse.storage.tables import read_table, write_table

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel


def probabilities_of(
    model: PreTrainedModel,
    tasks: Sequence[EncodedTask],
    split: str,
    *,
    pad_id: int,
    embeddings: Embeddings | None = None,
    description: str = "Scoring",
) -> dict[str, np.ndarray]:
    """Probabilities [examples, labels] of each task's examples in `split`, by label tokens."""
    return {
        encoded.task.name: label_probabilities(
            model,
            encoded.examples[split],
            encoded.label_ids,
            pad_id=pad_id,
            embeddings=embeddings,
            description=description,
        )
        for encoded in tasks
    }


def mean_scores(
    tasks: Sequence[EncodedTask], split: str, probabilities: dict[str, np.ndarray]
) -> dict[str, float]:
    """Means over tasks: accuracy, macro-F1, cross-entropy; "score" is what training maximises.

    Accuracy moves in steps of one example, so among equal ones the lower cross-entropy wins.
    """
    import numpy as np

    from stillhouse.metrics.classification import classification_metrics

    found = [
        classification_metrics(probabilities[t.task.name], t.task.gold(split), t.task.labels)
        for t in tasks
        if t.examples[split]
    ]
    accuracy = float(np.mean([m.accuracy for m in found]))
    nll = float(np.mean([m.nll for m in found]))
    return {
        "accuracy": accuracy,
        "macro_f1": float(np.mean([m.macro_f1 for m in found])),
        "nll": nll,
        "score": accuracy - 1e-3 * min(nll, 10.0),
    }


def write_predictions(
    path: Path, tasks: Sequence[EncodedTask], split: str, probabilities: dict[str, np.ndarray]
) -> None:
    """Write rows (task, pair_id, probabilities in the order of the task's labels)."""
    import pyarrow as pa

    rows = [
        {"task": t.task.name, "pair_id": example.key, "probabilities": list(map(float, row))}
        for t in tasks
        for example, row in zip(t.examples[split], probabilities[t.task.name], strict=True)
    ]
    schema = pa.schema(
        [
            ("task", pa.string()),
            ("pair_id", pa.string()),
            ("probabilities", pa.list_(pa.float64())),
        ]
    )
    write_table(path, pa.Table.from_pylist(rows, schema=schema))


def read_predictions(path: Path) -> dict[str, dict[str, list[float]]]:
    """Probabilities by task and pair_id."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in read_table(path).to_pylist():
        found.setdefault(row["task"], {})[row["pair_id"]] = row["probabilities"]
    return found
