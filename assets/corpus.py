"""From raw files to unique, masked documents. Unpartitioned, and incremental inside each asset."""

from collections import Counter
from typing import Any

import dagster as dg

from stillhouse.assets.common import (
    OWNERS,
    AssetDecorator,
    materialize,
    preview,
    report,
    user_errors,
)
from stillhouse.corpus.masked import mask_documents
from stillhouse.corpus.parsed import PARSED, QUARANTINED, parse_sources
from stillhouse.corpus.sources import scan_sources
from stillhouse.corpus.unique import unique_documents as find_unique
from stillhouse.recipes import CODE_VERSIONS
from stillhouse.resources.project import ProjectResource
from stillhouse.storage.provenance import Provenance
from stillhouse.storage.tables import Increment, read_table, table_digest, write_table

# Kinds found by a pattern with a checksum or a fixed form; a name found again may be a false alarm.
NAME_LIKE = {"PERSON", "LOCATION", "ORGANIZATION", "NRP", "DATE_TIME"}


def _asset(name: str, kinds: set[str], **arguments: Any) -> AssetDecorator:
    return dg.asset(
        name=name,
        group_name="corpus",
        owners=OWNERS,
        kinds=kinds,
        code_version=CODE_VERSIONS[name],
        **arguments,
    )


def _increment_facts(increment: Increment) -> dict[str, Any]:
    return {
        "inputs_computed": increment.computed,
        "inputs_reused": increment.reused,
        "inputs_dropped": increment.dropped,
    }


@_asset("source_files", {"file"})
def source_files(
    project: ProjectResource,
) -> dg.MaterializeResult:
    """Every file of the project's sources, with its hash; a file that was not touched keeps it."""
    path = project.layout.table("source_files")
    with user_errors():
        files = scan_sources(project.project, read_table(path) if path.exists() else None)
        if not files.num_rows:
            raise dg.Failure(
                description=f"{project.project.file}: sources: there are no files in them",
                allow_retries=False,
            )
    write_table(path, files)
    recipe = project.recipes.source_files(files)
    rows = files.to_pylist()
    facts = {
        "digest": recipe.inputs["files"],
        "files": files.num_rows,
        "bytes": sum(row["size"] for row in rows),
        "by_source": dict(Counter(row["source"] for row in rows)),
        "sample_md": preview(rows[:8], ["source", "path", "label", "size"]),
    }
    record = Provenance.of(recipe, facts)
    record.write(path.parent)
    return report(path.parent, record, reused=False)


@_asset("parsed_documents", {"python", "parquet"}, deps=[source_files])
def parsed_documents(project: ProjectResource) -> dg.MaterializeResult:
    """Text of each document and record; what can't be read is in quarantine with its reason."""
    layout = project.layout

    def make() -> dict[str, Any]:
        files = read_table(layout.table("source_files"))
        increment = parse_sources(project.project, files, layout)
        rows = increment.table.to_pylist()
        parsed = [r for r in rows if r["status"] == PARSED]
        bad = [r for r in rows if r["status"] == QUARANTINED]
        if not parsed:
            raise dg.Failure(
                description="parsed_documents: every source file went to quarantine; see "
                f"{layout.quarantine('parsed_documents')} for the reasons",
                metadata={"quarantine": dg.MetadataValue.md(_quarantine(bad))},
                allow_retries=False,
            )
        return {
            "digest": table_digest(
                increment.table, ["doc_id", "file_id", "text", "label", "created_at", "reason"]
            ),
            "documents": len(parsed),
            "quarantined": len(bad),
            "pages": sum(r["pages"] or 0 for r in parsed),
            "characters": sum(len(r["text"]) for r in parsed),
            "dropped_characters": sum(r["dropped_characters"] for r in parsed),
            "quarantine_md": _quarantine(bad),
            "sample_md": preview(parsed[:5], ["source", "path", "title", "text"]),
            **_increment_facts(increment),
        }

    recipe = project.recipes.corpus("parsed_documents")
    return materialize(layout.table("parsed_documents").parent, recipe, make)


def _quarantine(rows: list[dict[str, Any]]) -> str:
    return preview(rows[:50], ["path", "category", "reason", "remedy"]) if rows else "nothing"


@_asset("masked_documents", {"python", "parquet"}, deps=[parsed_documents])
def masked_documents(project: ProjectResource) -> dg.MaterializeResult:
    """Documents with personal data replaced by keyed pseudonyms; originals lie in the vault."""
    import pyarrow.compute as pc

    layout = project.layout

    def make() -> dict[str, Any]:
        documents = read_table(layout.table("parsed_documents"))
        documents = documents.filter(pc.equal(documents["status"], PARSED))
        increment = mask_documents(project.project.privacy, documents, layout)
        rows = increment.table.to_pylist()
        kinds = Counter(e["kind"] for row in rows for e in row["entities"])
        touched = [row for row in rows if row["entities"]]
        return {
            "digest": table_digest(increment.table, ["doc_id", "title", "text"]),
            "documents": len(rows),
            "documents_with_entities": len(touched),
            "entities": kinds.total(),
            "entities_by_kind": dict(kinds.most_common()),
            "sample_md": preview(touched[:5], ["doc_id", "text"]),
            **_increment_facts(increment),
        }

    recipe = project.recipes.corpus("masked_documents")
    return materialize(layout.table("masked_documents").parent, recipe, make)


@_asset("unique_documents", {"duckdb", "parquet"}, deps=[masked_documents])
def unique_documents(project: ProjectResource) -> dg.MaterializeResult:
    """One document of each cluster of exact and near-duplicates."""
    layout = project.layout

    def make() -> dict[str, Any]:
        found = find_unique(project.project.dedup, layout)
        rows = found.table.to_pylist()
        copied = sorted(rows, key=lambda r: (-r["copies"], r["doc_id"]))
        return {
            "digest": table_digest(found.table, found.table.column_names),
            "documents": found.clusters.num_rows,
            "unique": len(rows),
            "exact_duplicates": found.exact,
            "near_duplicates": found.near,
            "label_conflicts": found.label_conflicts,
            "by_label": dict(Counter(r["label"] or "(none)" for r in rows).most_common()),
            "most_copied_md": preview(copied[:5], ["copies", "source", "text"]),
        }

    recipe = project.recipes.corpus("unique_documents")
    return materialize(layout.table("unique_documents").parent, recipe, make)


@dg.asset_check(asset=parsed_documents, blocking=True)
def no_unaccounted_parse_loss(project: ProjectResource) -> dg.AssetCheckResult:
    """Every source file gave a document, or stands in quarantine with a reason and a remedy."""
    layout = project.layout
    files = {r["file_id"]: r["path"] for r in read_table(layout.table("source_files")).to_pylist()}
    columns = ["file_id", "status", "reason", "remedy", "text"]
    rows = read_table(layout.table("parsed_documents"), columns).to_pylist()
    accounted = {
        r["file_id"]
        for r in rows
        if (r["text"] if r["status"] == PARSED else r["reason"] and r["remedy"])
    }
    lost = sorted(path for file_id, path in files.items() if file_id not in accounted)
    return dg.AssetCheckResult(
        passed=not lost,
        metadata={
            "files": len(files),
            "quarantined": sum(r["status"] == QUARANTINED for r in rows),
            "lost": dg.MetadataValue.json(lost[:50]),
        },
    )


@dg.asset_check(asset=masked_documents, blocking=True)
def no_pii_left(project: ProjectResource) -> dg.AssetCheckResult:
    """The last scan of the masked texts finds none of the configured kinds.

    Kinds with a fixed form (addresses, numbers) must be gone altogether. A recognizer of names
    reads a masked text differently and sees other "names", which are masked in their turn; those
    that are still seen then fail above 1 % of documents.
    """
    rows = read_table(project.layout.table("masked_documents"), ["doc_id", "residual"]).to_pylist()
    kinds = Counter(kind for row in rows for kind in row["residual"])
    fixed = {kind: n for kind, n in kinds.items() if kind not in NAME_LIKE}
    named = sum(1 for row in rows if set(row["residual"]) & NAME_LIKE)
    return dg.AssetCheckResult(
        passed=not fixed and named <= 0.01 * len(rows),
        metadata={
            "documents": len(rows),
            "residual_of_fixed_form": sum(fixed.values()),
            "documents_with_residual_names": named,
            "by_kind": dg.MetadataValue.json(dict(kinds)),
        },
    )
