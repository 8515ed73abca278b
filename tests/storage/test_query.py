from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.storage.query import connected


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
