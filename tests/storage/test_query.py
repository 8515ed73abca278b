from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from stillhouse.storage.query import beside, connected, counts, one_row
from stillhouse.storage.tables import write_table


def test_what_exceeds_memory_goes_to_a_private_folder_and_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, spill = tmp_path / "working", tmp_path / "spill"
    working.mkdir()
    spill.mkdir()
    monkeypatch.chdir(working)
    with connected({}, memory_limit="40MB", spill=spill) as db:
        db.execute("SET threads = 1")
        db.execute("CREATE TABLE t AS SELECT random()::VARCHAR AS v FROM range(2_000_000)")
        files = db.sql("SELECT path, size FROM duckdb_temporary_files()").fetchall()
        assert sum(size for _, size in files) > 1_000_000
        assert all(Path(path).is_relative_to(spill) for path, _ in files)
        (folder,) = spill.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
    assert not list(spill.iterdir())
    assert not list(working.iterdir())


def test_connections_see_nothing_of_each_other_and_leave_nothing(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    write_table(table, pa.table({"x": range(5000)}))
    with connected({"t": table}) as one, connected({"t": pa.table({"x": [7]})}) as other:
        one.execute("CREATE TABLE made AS SELECT 1 AS x")
        other.execute("CREATE TABLE made AS SELECT 2 AS x")
        assert one.sql("SELECT * FROM made").fetchall() == [(1,)]
        assert other.sql("SELECT * FROM made, t").fetchall() == [(2, 7)]
        assert beside(one).sql("SELECT made.x, count(*) FROM made, t GROUP BY 1").fetchall() == [
            (1, 5000)
        ]
        assert next(iter(one.sql("SELECT x FROM t").to_arrow_reader(10))).num_rows == 10
    with connected({}) as db:
        assert db.sql("SELECT name FROM (SHOW ALL TABLES)").fetchall() == []
        databases = "SELECT count(*) FROM duckdb_databases() WHERE NOT internal"
        assert db.sql(databases).fetchall() == [(2,)]


def test_threads_may_ask_at_once() -> None:
    def asked(n: int) -> int:
        return int(one_row("SELECT sum(x) AS s FROM t", t=pa.table({"x": [n] * 100}))["s"])

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(asked, range(200))) == [100 * n for n in range(200)]


def test_a_process_that_was_forked_asks_a_database_of_its_own() -> None:
    assert counts("SELECT 'one', 1") == {"one": 1}
    child = os.fork()
    if not child:
        signal.alarm(20)
        summed = counts("SELECT 'sum', sum(range)::BIGINT FROM range(1_000_000)")
        os._exit(0 if summed == {"sum": 499_999_500_000} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert counts("SELECT 'one', 1") == {"one": 1}


ASKS = "from stillhouse.storage.query import counts; counts(\"SELECT 'a', 1\")"
IN_A_WORKER = """
import multiprocessing
from stillhouse.storage.query import counts
if __name__ == "__main__":
    counts("SELECT 'a', 1")
    for how in ("spawn", "fork"):
        worker = multiprocessing.get_context(how).Process(target=counts, args=("SELECT 'b', 2",))
        worker.start()
        worker.join()
        assert worker.exitcode == 0
    assert counts("SELECT 'a', 1") == {"a": 1}  # a worker's end takes nothing from another
"""


@pytest.mark.parametrize("script", [ASKS, IN_A_WORKER])
def test_what_was_spilled_is_gone_with_the_process(tmp_path: Path, script: str) -> None:
    (tmp_path / "spilled").mkdir()
    (tmp_path / "asks.py").write_text(script)
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "spilled"), "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, tmp_path / "asks.py"], env=environment, check=True)
    assert not list((tmp_path / "spilled").iterdir())
