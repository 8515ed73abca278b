"""Families that belong together because their records name the same customer, thread or machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse.errors import UserError

if TYPE_CHECKING:
    import duckdb


def join_groups(db: duckdb.DuckDBPyConnection, column: str | None) -> int:
    """Create joined(family, root): families that share a value of the records' column, directly or
    through others, have one root; and the view `dealt`: `current` with the root as its group_id.

    Duplicates that were left out count too: what they say is learned from in their stead.

    Without a column every family is its own. Returns how many families of pairs have no value.

    Raises:
        UserError: nobody says anything in that column.
    """
    db.execute("CREATE TABLE joined (family VARCHAR, root VARCHAR)")
    missing = _join(db, column) if column is not None else 0
    db.execute(
        """CREATE VIEW dealt AS
        SELECT c.* REPLACE (coalesce(root, group_id) AS group_id)
        FROM current c LEFT JOIN joined ON family = group_id"""
    )
    return missing


def _join(db: duckdb.DuckDBPyConnection, column: str) -> int:
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pointer = "/" + column.replace("~", "~0").replace("/", "~1")  # RFC 6901
    db.execute(
        """CREATE TABLE named AS
        SELECT DISTINCT family_id AS family, nullif(trim(columns ->> $pointer), '') AS value
        FROM duplicate_clusters LEFT JOIN masked_documents USING (doc_id)
        WHERE family_id IN (SELECT group_id FROM current)""",
        {"pointer": pointer},
    )
    edges = db.sql(
        """SELECT family, (dense_rank() OVER (ORDER BY family) - 1)::INTEGER AS a,
                  (dense_rank() OVER (ORDER BY value) - 1)::INTEGER AS b
           FROM named WHERE value IS NOT NULL ORDER BY family"""
    ).to_arrow_table()
    if not edges.num_rows:
        raise UserError(
            f"splits.group: no record that pairs were made of says anything in a column {column!r}",
            remedy="name a column of the records, or leave `group` out.",
        )
    a, b = edges["a"].to_numpy(), edges["b"].to_numpy()
    nodes = a.max() + b.max() + 2  # families, then values
    links = coo_array((np.ones(len(a), np.int8), (a, b + a.max() + 1)), shape=(nodes, nodes))
    _, component = connected_components(links, directed=False)
    found = edges.select(["family"]).append_column("component", [component[a]])
    db.register("found", found)
    db.execute(
        """INSERT INTO joined
        SELECT DISTINCT family, min(family) OVER (PARTITION BY component) FROM found"""
    )
    return int(
        db.sql(
            """SELECT count(DISTINCT family) FROM named
               WHERE family NOT IN (SELECT family FROM joined)"""
        ).fetchall()[0][0]
    )
