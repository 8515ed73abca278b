"""From documents to instruction pairs in three splits, and a sample for a person to read."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import dagster as dg

from stillhouse.assets.common import OWNERS, AssetDecorator, materialize, preview
from stillhouse.assets.corpus import unique_documents
from stillhouse.dataset.pairs import classification_pairs
from stillhouse.dataset.review import review_sample as draw_review_sample
from stillhouse.dataset.splits import SPLITS, assign_splits, straddling, untrainable_labels
from stillhouse.recipes import CODE_VERSIONS
from stillhouse.resources.project import ProjectResource
from stillhouse.storage.tables import read_table, table_digest, write_table


def _asset(name: str, **arguments: Any) -> AssetDecorator:
    return dg.asset(
        name=name,
        group_name="dataset",
        owners=OWNERS,
        kinds={"python", "parquet"},
        code_version=CODE_VERSIONS[name],
        **arguments,
    )


@_asset("instruction_pairs", deps=[unique_documents])
def instruction_pairs(project: ProjectResource) -> dg.MaterializeResult:
    """What the models learn from: instruction, input and response of every task."""
    layout, settings = project.layout, project.project
    path = layout.table("instruction_pairs")

    def make() -> dict[str, Any]:
        documents = read_table(layout.table("unique_documents")).to_pylist()
        pairs, counts = classification_pairs(
            documents, settings.tasks, settings.privacy.train_up_to
        )
        if not pairs.num_rows:
            raise dg.Failure(
                description=f"{settings.file}: tasks: no document has a label to learn from",
                metadata={name: str(value) for name, value in asdict(counts).items()},
                allow_retries=False,
            )
        write_table(path, pairs)
        rows = pairs.to_pylist()
        return {
            "digest": table_digest(pairs, pairs.column_names),
            "pairs": len(rows),
            "words": sum(len(r["input"].split()) for r in rows),
            "by_label": dict(Counter(f"{r['task']}:{r['label']}" for r in rows).most_common()),
            "by_source": dict(Counter(r["source"] for r in rows).most_common()),
            **asdict(counts),
            "sample_md": preview(rows[:8], ["task", "label", "source", "input"]),
        }

    return materialize(path.parent, project.recipes.corpus("instruction_pairs"), make)


@_asset("dataset_splits", deps=[instruction_pairs])
def dataset_splits(project: ProjectResource) -> dg.MaterializeResult:
    """The pairs with their split, decided by a hash of each family of near-duplicates."""
    layout, settings = project.layout, project.project.splits
    path = layout.table("dataset_splits")

    def make() -> dict[str, Any]:
        pairs = assign_splits(
            read_table(layout.table("instruction_pairs")),
            validation=settings.validation,
            test=settings.test,
            seed=settings.seed,
        )
        sizes = Counter(pairs["split"].to_pylist())
        empty = [split for split in SPLITS if not sizes[split]]
        if empty:
            raise dg.Failure(
                description=f"{project.project.file}: splits: {', '.join(empty)} would be empty "
                f"with {pairs.num_rows} pairs; add labelled documents or change the shares",
                allow_retries=False,
            )
        write_table(path, pairs)
        table = Counter((r["task"], r["label"], r["split"]) for r in pairs.to_pylist())
        rows = [
            {"task": task, "label": label, **{s: table[task, label, s] for s in SPLITS}}
            for task, label in sorted({key[:2] for key in table})
        ]
        return {
            "digest": table_digest(pairs, pairs.column_names),
            **{split: sizes[split] for split in SPLITS},
            "labels_without_training_pairs": untrainable_labels(pairs),
            "labels_md": preview(rows, ["task", "label", *SPLITS]),
        }

    return materialize(path.parent, project.recipes.corpus("dataset_splits"), make)


@_asset("review_sample", deps=[dataset_splits])
def review_sample(project: ProjectResource) -> dg.MaterializeResult:
    """A few pairs of every label, for a person to read before trusting the rest."""
    layout = project.layout
    path = layout.table("review_sample")

    def make() -> dict[str, Any]:
        sample = draw_review_sample(read_table(layout.table("dataset_splits")))
        write_table(path, sample)
        return {
            "digest": table_digest(sample, sample.column_names),
            "pairs": sample.num_rows,
            "sample_md": preview(
                sample.to_pylist()[:60], ["task", "label", "source", "split", "input"], width=400
            ),
        }

    return materialize(path.parent, project.recipes.corpus("review_sample"), make)


@dg.asset_check(asset=dataset_splits, blocking=True)
def no_straddling(project: ProjectResource) -> dg.AssetCheckResult:
    """No document, near-duplicate or text stands in two splits; every label can be learned."""
    pairs = read_table(project.layout.table("dataset_splits"))
    torn, untrainable = straddling(pairs), untrainable_labels(pairs)
    return dg.AssetCheckResult(
        passed=not torn and not untrainable,
        metadata={
            "pairs": pairs.num_rows,
            "straddling": dg.MetadataValue.json(torn[:50]),
            "labels_without_training_pairs": dg.MetadataValue.json(untrainable),
        },
    )
