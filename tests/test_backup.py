"""A data directory into one file and back, through the command line."""

from __future__ import annotations

import os
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stillhouse import backup
from stillhouse.backup import back_up, restore
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import alive, unless_held


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "var")
    for name in ("tables/a/data.parquet", "keys/vault.key", "cache/hidden/x", "staging/y"):
        (found.root / name).parent.mkdir(parents=True, exist_ok=True)
        (found.root / name).write_text(name)
    (found.root / "releases" / "r1").mkdir(parents=True)
    (found.root / "releases" / "r1" / "weights").write_bytes(b"w" * 5000)
    (found.root / "channel").symlink_to("releases/r1")
    (found.root / "tables" / ".b.01234567.part").mkdir()
    (found.root / "tables" / ".b.01234567.part" / "half").write_text("half")
    return found


def contents(root: Path) -> set[str]:
    found = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    return {name for name in found if not name.startswith("channel/")}  # by way of the link


def test_what_can_not_be_made_again_comes_back(layout: Layout, tmp_path: Path) -> None:
    archive = tmp_path / "b.tar.gz"
    assert back_up(layout, archive, keys=False) == 3
    assert archive.stat().st_mode & 0o077 == 0
    layout.root.rename(tmp_path / "gone")
    assert restore(archive, layout) == 3
    assert contents(layout.root) == {"tables/a/data.parquet", "releases/r1/weights"}
    assert (layout.root / "channel").readlink() == Path("releases/r1")
    assert (layout.root / "channel" / "weights").read_bytes() == b"w" * 5000
    assert layout.root.stat().st_mode & 0o077 == 0
    with pytest.raises(UserError, match="already"):
        restore(archive, layout)


def test_keys_come_along_when_they_are_asked_for(layout: Layout, tmp_path: Path) -> None:
    back_up(layout, tmp_path / "b.tar", keys=True)
    other = Layout(tmp_path / "other")
    restore(tmp_path / "b.tar", other)
    assert other.key("vault").read_text() == "keys/vault.key"


def test_an_open_database_is_copied_as_a_whole(layout: Layout, tmp_path: Path) -> None:
    path = layout.root / "dagster" / "runs.db"
    path.parent.mkdir()
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE runs (n)")
    writer.execute("INSERT INTO runs VALUES (7)")
    writer.commit()  # it stands in the journal beside it
    back_up(layout, tmp_path / "b.tar", keys=False)
    other = Layout(tmp_path / "other")
    restore(tmp_path / "b.tar", other)
    copied = sqlite3.connect(other.root / "dagster" / "runs.db")
    assert copied.execute("SELECT n FROM runs").fetchall() == [(7,)]
    for database in (writer, copied):
        database.close()


def test_what_is_written_to_meanwhile_is_as_good_as_when_it_was_copied(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of the UI goes on writing, and its logs come and go."""
    log, gone = layout.root / "dagster" / "run.log", layout.root / "dagster" / "gone.log"
    log.parent.mkdir()
    log.write_text("one\n")
    gone.write_text("soon")
    os.link(log, log.with_name("same.log"))
    read = backup.Hashed.read

    def busy(hashed: backup.Hashed, size: int = -1) -> bytes:
        gone.unlink(missing_ok=True)
        found = read(hashed, size)
        with log.open("a") as stream:
            stream.write("and more\n")
        return found

    monkeypatch.setattr(backup.Hashed, "read", busy)
    listed = backup._files
    monkeypatch.setattr(
        backup, "_files", lambda root, keys: sorted(listed(root, keys=keys), key=str, reverse=True)
    )
    back_up(layout, tmp_path / "b.tar", keys=False)
    other = Layout(tmp_path / "other")
    restore(tmp_path / "b.tar", other)
    copied = (other.root / "dagster" / "run.log").read_text()
    assert copied.startswith("one\n")
    assert (other.root / "dagster" / "same.log").read_text().startswith("one\n")
    assert not (other.root / "dagster" / "gone.log").exists()


def test_no_release_is_made_while_one_is_copied(layout: Layout, tmp_path: Path) -> None:
    (layout.releases / "router" / "r2").mkdir(parents=True)
    seen = []

    def copied(root: Path, *, keys: bool) -> Iterator[Path]:
        with unless_held(layout.lock("router", "releases")) as free:
            seen.append(free)
        yield from ()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(backup, "_files", copied)
        back_up(layout, tmp_path / "b.tar", keys=False)
    assert seen == [False]


def test_an_archive_that_can_not_be_written_is_told(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="can't be written"):
        back_up(layout, tmp_path / "file" / "b.tar", keys=False)


def test_a_damaged_or_foreign_archive_restores_nothing(layout: Layout, tmp_path: Path) -> None:
    whole = tmp_path / "b.tar"
    back_up(layout, whole, keys=False)
    content = whole.read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[:3000])  # within a file
    (tmp_path / "listless.tar").write_bytes(content[: content.rindex(b"files.json")])
    (tmp_path / "changed.tar").write_bytes(content.replace(b"w" * 4000, b"v" * 4000))
    (tmp_path / "text.tar").write_text("no archive")
    with tarfile.open(tmp_path / "out.tar", "w") as out:
        (tmp_path / "evil").write_text("x")
        out.add(tmp_path / "evil", "../../evil")
    other = Layout(tmp_path / "other")
    for name in ("cut.tar", "listless.tar", "changed.tar", "text.tar", "out.tar", "absent.tar"):
        with pytest.raises(UserError, match=name):
            restore(tmp_path / name, other)
        assert not other.root.exists()
    assert "evil" not in os.listdir(tmp_path.parent)


def test_nothing_is_copied_while_a_run_is_under_way(layout: Layout, tmp_path: Path) -> None:
    with alive(layout.run("r")), pytest.raises(UserError, match="under way"):
        back_up(layout, tmp_path / "b.tar", keys=False)
    assert not (tmp_path / "b.tar").exists()
    with pytest.raises(UserError, match="lies in the data directory"):
        back_up(layout, layout.root / "b.tar", keys=False)
