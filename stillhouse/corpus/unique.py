"""One document of each cluster of duplicates, with all that later stages want to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillhouse.config.corpus import Dedup
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import write_table

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class UniqueDocuments:
    """`table` holds representatives; `clusters` has a row for every document."""

    table: pa.Table
    clusters: pa.Table
    exact: int
    near: int
    label_conflicts: int


def unique_documents(settings: Dedup, layout: Layout) -> UniqueDocuments:
    """Cluster the masked documents; write `unique_documents` and `duplicate_clusters`.

    Only texts not seen before are hashed. `label_conflicts` counts clusters whose members carry
    different labels; the representative's is the one that stays.
    """
    import duckdb

    from stillhouse.corpus.dedup.clusters import DedupSettings, cluster_documents

    with duckdb.connect() as db:
        for asset in ("source_files", "parsed_documents", "masked_documents"):
            db.read_parquet(str(layout.table(asset))).create_view(asset)
        documents = db.sql(
            """
            SELECT m.doc_id, m.title, m.text, m.version, p.source, p.kind, p.path, p.record_id,
                   p.language, coalesce(p.label, f.label) AS label, f.confidentiality,
                   p.created_at, (f.position << 32) + p.position AS position
            FROM masked_documents m
            JOIN parsed_documents p USING (doc_id)
            JOIN source_files f USING (file_id)
            """
        ).to_arrow_table()
        clusters = cluster_documents(
            documents.select(["doc_id", "text", "created_at", "position"]),
            DedupSettings(
                threshold=settings.threshold,
                keep=settings.keep,
                memory_limit=settings.memory_limit,
            ),
            signatures=layout.cache("signatures") / "signatures.parquet",
            work_dir=layout.cache("dedup"),
        )
        db.register("documents", documents)
        db.register("clusters", clusters)
        table = db.sql(
            """
            SELECT d.* EXCLUDE (version), c.family_id,
                   count(*) OVER (PARTITION BY c.cluster_id) AS copies
            FROM documents d JOIN clusters c USING (doc_id)
            QUALIFY c.is_representative
            ORDER BY d.position, d.doc_id
            """
        ).to_arrow_table()
        exact, near, conflicts = db.sql(
            """
            SELECT count(*) FILTER (kind = 'exact'), count(*) FILTER (kind = 'near'),
                   (SELECT count(*) FROM (
                       SELECT 1 FROM clusters JOIN documents USING (doc_id)
                       GROUP BY cluster_id HAVING count(DISTINCT label) > 1))
            FROM clusters
            """
        ).fetchall()[0]
    write_table(layout.table("duplicate_clusters"), clusters)
    write_table(layout.table("unique_documents"), table)
    return UniqueDocuments(table, clusters, exact, near, conflicts)
