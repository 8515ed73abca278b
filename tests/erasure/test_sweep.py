"""What is kept by pairs goes with them; what no pair gave stays."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from stillhouse.erasure.sweep import Present
from stillhouse.storage.tables import read_table, write_table


def test_edge_cases_go_with_the_pair_that_they_were_made_from(tmp_path: Path) -> None:
    file = tmp_path / "teacher.edge_cases.parquet"
    write_table(file, pa.table({"pair_id": ["kept", "gone", ""], "prediction": ["a", "b", "c"]}))
    now = Present(pa.table({"doc_id": ["d"]}), pa.table({"pair_id": ["kept"]}))
    assert now.of_pairs(file) == 1
    assert sorted(read_table(file)["pair_id"].to_pylist()) == ["", "kept"]
