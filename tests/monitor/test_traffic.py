"""Logs that are appended to, rotated, copied and broken, and the table that they give."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from stillhouse.config.project import Project, load_project
from stillhouse.corpus.pii.masker import Entity, Masked
from stillhouse.monitor import traffic
from stillhouse.monitor.forgetting import remember_requests
from stillhouse.monitor.logs import logs_digest
from stillhouse.monitor.traffic import read_traffic
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table
from tests.made import MINIMAL

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAME = "Zoltan Marksmith"


class ByName:
    """Masks one name: what others are found is not what these tests are about."""

    def __init__(self, settings: Any, key: bytes) -> None:
        self.settings = settings

    def fingerprint(self) -> str:
        return str(self.settings.languages)

    def clean_many(self, texts: Iterable[str]) -> Iterator[tuple[Masked, Masked]]:
        for text in texts:
            found = [
                Entity("PERSON", m.start(), m.end(), 1.0, "Person-kuvora")
                for m in re.finditer(NAME, text)
            ]
            yield Masked(text.replace(NAME, "Person-kuvora"), found), Masked("", [])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(traffic, "Masker", ByName)
    (tmp_path / "logs").mkdir()
    write_project(tmp_path)
    return tmp_path


def write_project(root: Path, **settings: Any) -> Project:
    values = yaml.safe_load(MINIMAL)
    values["traffic"] = {"logs": ["logs/*"], **settings}
    (root / "stillhouse.yaml").write_text(yaml.safe_dump(values))
    return load_project(root)


def read(root: Path, now: datetime = NOW) -> tuple[Any, list[dict[str, Any]]]:
    """One reading, as the asset makes it: a new folder takes the place of the table's."""
    project = load_project(root)
    layout = Layout(project.data_path)
    target = layout.table("production_traffic").parent
    new = target.with_name("new")
    new.mkdir(parents=True)
    facts = read_traffic(project, layout, new, now=now)
    if target.exists():
        target.rename(target.with_name(f"old-{now.timestamp()}-{os.urandom(3).hex()}"))
    new.rename(target)
    return facts, read_table(layout.table("production_traffic")).to_pylist()


def line(number: int, text: str | None = None, **fields: Any) -> str:
    said = {"id": f"r-{number}", "time": (NOW - timedelta(hours=9)).timestamp() + number}
    return json.dumps({**said, "input": text or f"text {number}", "answer": "billing", **fields})


def lines(*numbers: int) -> str:
    return "".join(f"{line(n)}\n" for n in numbers)


def texts(rows: list[dict[str, Any]]) -> list[str]:
    return [row["input"] for row in rows]


def test_only_what_is_new_of_a_log_is_read(root: Path) -> None:
    log = root / "logs" / "a.jsonl"
    log.write_text(lines(1, 2))
    assert read(root)[0].lines == 2
    log.write_text(log.read_text() + lines(3))
    facts, rows = read(root)
    assert texts(rows) == ["text 1", "text 2", "text 3"]
    # A log that had been read again would have given duplicates.
    assert (facts.lines, facts.duplicates, facts.requests) == (3, 0, 3)


def test_a_line_that_is_being_written_waits_for_its_end(root: Path) -> None:
    log, last = root / "logs" / "a.jsonl", line(2)
    log.write_text(lines(1) + last[:20])
    os.utime(log, (NOW.timestamp(),) * 2)
    facts, rows = read(root)
    assert (facts.waiting, facts.refused, texts(rows)) == (1, {}, ["text 1"])
    log.write_text(lines(1) + last + "\n" + lines(3))
    facts, rows = read(root)
    assert (facts.waiting, facts.refused, len(rows)) == (0, {}, 3)


def test_a_line_that_nobody_goes_on_with_was_cut_short(root: Path) -> None:
    log = root / "logs" / "a.jsonl"
    log.write_text(lines(1) + line(2)[:20])
    os.utime(log, ((NOW - timedelta(days=1)).timestamp(),) * 2)
    assert read(root)[0].refused == {"truncated": 1}
    assert read(root)[0].refused == {"truncated": 1}


@pytest.mark.parametrize("how", ["renamed", "copied and truncated", "compressed"])
def test_rotation_loses_nothing_and_reads_nothing_twice(root: Path, how: str) -> None:
    log, old = root / "logs" / "a.jsonl", root / "logs" / "a.jsonl.1"
    log.write_text(lines(1, 2))
    read(root)
    said = lines(1, 2, 3)  # written between the last reading and the rotation
    if how == "renamed":
        log.rename(old)
        old.write_text(said)
    elif how == "compressed":
        log.unlink()
        (root / "logs" / "a.jsonl.1.gz").write_bytes(gzip.compress(said.encode()))
    else:
        old.write_text(said)
    log.write_text(lines(4))
    facts, rows = read(root)
    assert texts(rows) == [f"text {n}" for n in (1, 2, 3, 4)]
    assert (facts.lines, facts.duplicates) == (4, 0)
    # And once more, every log to the next name.
    for path in sorted((root / "logs").glob("a.jsonl.1*")):
        path.rename(path.with_name(path.name.replace(".1", ".2")))
    log.rename(old)
    log.write_text(lines(5))
    facts, rows = read(root)
    assert (facts.lines, facts.duplicates, len(rows)) == (5, 0, 5)


def test_copies_are_counted_once_and_what_is_written_to_a_copy_is_read(root: Path) -> None:
    log, copy = root / "logs" / "a.jsonl", root / "logs" / "b.jsonl"
    log.write_text(lines(1, 2) + json.dumps({"time": NOW.timestamp(), "input": "no id"}) + "\n")
    read(root)
    copy.write_text(log.read_text() + lines(7))
    facts, rows = read(root)
    assert sorted(texts(rows)) == ["no id", "text 1", "text 2", "text 7"]
    assert facts.duplicates == 3
    # The same id with another text is another request: counters begin anew with their process.
    log.write_text(log.read_text() + line(1, "after a restart") + "\n")
    facts, rows = read(root)
    assert "after a restart" in texts(rows) and facts.duplicates == 3


def test_a_log_that_was_changed_is_read_again(root: Path) -> None:
    log = root / "logs" / "a.jsonl"
    log.write_text(lines(1, 2, 3))
    read(root)
    log.write_text(lines(1, 9, 3))  # as long as before
    facts, rows = read(root)
    assert sorted(texts(rows)) == [f"text {n}" for n in (1, 2, 3, 9)]
    assert facts.duplicates == 2


def test_broken_lines_are_counted_with_their_reasons_and_nothing_of_them(root: Path) -> None:
    log = root / "logs" / "a.jsonl"
    log.write_bytes(
        b"\xef\xbb\xbf" + lines(1).encode() + b'{"input": "a secret\n'
        b'{"input": "caf\xe9 secret"}\n' + b"\0" * 500 + lines(2).encode() + b'["secret"]\n'
        b'{"secret": 1}\n\n' + b'{"messages": "redacted-by-litellm", "startTime": 1}\r\n'
        + b"{" * 9999 + b"\n"
    )  # fmt: skip
    facts, rows = read(root)
    assert texts(rows) == ["text 1", "text 2"]
    assert facts.refused == {
        "no_json": 2, "no_object": 1, "no_text": 1, "not_utf8": 1, "redacted": 1,
    }  # fmt: skip
    file = Layout(load_project(root).data_path).quarantine("production_traffic")
    told = read_table(file).to_pylist()
    assert [row["line"] for row in told] == [2, 3, 5, 6, 8, 9]
    assert all(row["reason"] and row["remedy"] for row in told)
    assert "secret" not in str(told) and "a.jsonl" not in str(told)


def test_a_line_without_end_fills_no_memory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stillhouse.monitor import logs

    monkeypatch.setattr(logs, "LONGEST", 1000)
    monkeypatch.setattr(logs, "CHUNK", 100)
    (root / "logs" / "a.jsonl").write_text(lines(1) + "x" * 5000 + "\n" + lines(2))
    facts, rows = read(root)
    assert facts.refused == {"too_long": 1} and len(rows) == 2


def test_a_log_that_cannot_be_read_is_told_and_costs_the_others_nothing(root: Path) -> None:
    (root / "logs" / "a.jsonl").write_text(lines(1))
    packed = gzip.compress(lines(*range(2, 300)).encode())
    (root / "logs" / "b.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    facts, rows = read(root)
    assert "1 logs could not be read" in str(replace(facts, expires=None).unfinished)
    assert "text 1" in texts(rows)
    (root / "logs" / "b.jsonl.gz").write_bytes(packed)
    facts, rows = read(root)
    assert not facts.unreadable and len(rows) == 299


@pytest.mark.parametrize("indent", [None, 2])
def test_an_export_is_one_document(root: Path, indent: int | None) -> None:
    chats = [
        {"id": f"c{n}", "chat": {"messages": [
            {"id": f"q{n}", "role": "user", "content": f"asked {n}", "timestamp": 1.78e9},
            {"id": f"a{n}", "role": "assistant", "content": NAME}]}}
        for n in range(3)
    ]  # fmt: skip
    export = root / "logs" / "export.json"
    export.write_text(json.dumps(chats, indent=indent))
    facts, rows = read(root)
    assert facts.requests == 3 and rows[0]["answer"] == "Person-kuvora"
    assert read(root)[0].duplicates == 0  # unchanged: not read again
    export.write_text(json.dumps([*chats, {"input": "d"}], indent=indent))
    assert read(root)[0].requests == 4
    export.write_text(json.dumps(chats)[:-30])
    assert read(root)[0].refused == {"truncated": 1}


def test_what_is_personal_never_reaches_the_disk(root: Path) -> None:
    said = {"conversation_id": f"of {NAME}", "id": f"by {NAME}", "user": NAME}
    log = root / "logs" / "a.jsonl"
    log.write_text(line(1, f"{NAME} asks", answer=f"Dear {NAME}", **said) + "\nbroken " + NAME)
    os.utime(log, (0, 0))
    _, (row,) = read(root)
    assert (row["input"], row["answer"]) == ("Person-kuvora asks", "Dear Person-kuvora")
    assert row["pseudonyms"] == ["Person-kuvora"]
    for file in (root / "var").rglob("*"):
        assert not file.is_file() or b"Marksmith" not in file.read_bytes(), file


def test_what_was_forgotten_does_not_come_back_from_its_log(root: Path) -> None:
    log = root / "logs" / "a.jsonl"
    log.write_text(line(1, f"{NAME} asks") + "\n" + lines(2))
    rows = read(root)[1]
    layout = Layout(load_project(root).data_path)
    remember_requests(layout, {row["request"] for row in rows if row["pseudonyms"]})
    # Killed before its table was cleared: the next reading does that.
    assert texts(read(root)[1]) == ["text 2"]
    write_project(root, retention_days=80, format="serve")  # all is read anew
    assert texts(read(root)[1]) == ["text 2"]


def test_times_that_cannot_be_are_counted_and_keep_their_place(root: Path) -> None:
    times = [NOW - timedelta(days=5), NOW + timedelta(days=400), datetime(1980, 1, 1, tzinfo=UTC)]
    said = [line(n, time=time.isoformat()) for n, time in enumerate(times)]
    said += [line(7, time=None), line(8, time=(NOW - timedelta(days=20)).isoformat())]
    (root / "logs" / "a.jsonl").write_text("\n".join(said) + "\n")
    facts, rows = read(root)
    assert facts.clock == {"jumped": 1, "no_time": 1, "senseless": 2}
    assert [row["time"] for row in rows] == [NOW - timedelta(days=20)] + [times[0]] * 4


def test_requests_go_when_their_time_is_over_and_there_are_no_more_than_asked(root: Path) -> None:
    log = root / "logs" / "a.jsonl"
    ages = [100, 80, 60, 1]
    log.write_text(
        "".join(line(n, time=(NOW - timedelta(days=n)).isoformat()) + "\n" for n in ages)
    )
    facts, rows = read(root)
    assert texts(rows) == ["text 80", "text 60", "text 1"] and facts.too_old == 1
    assert facts.expires == (NOW + timedelta(days=10)).isoformat()
    facts, rows = read(root, NOW + timedelta(days=15))
    assert texts(rows) == ["text 60", "text 1"] and facts.too_old == 2
    write_project(root, max_requests=1)
    facts, rows = read(root)
    assert texts(rows) == ["text 1"] and facts.too_many == 1


def test_a_sample_is_the_same_whatever_is_read_when(root: Path) -> None:
    write_project(root, sample=0.3)
    log = root / "logs" / "a.jsonl"
    log.write_text(lines(*range(400)))
    facts, rows = read(root)
    assert 80 < len(rows) < 160 and facts.not_sampled == 400 - len(rows)
    log.write_text(lines(*reversed(range(500))))
    later = read(root)[1]
    assert set(texts(rows)) == {t for t in texts(later) if int(t.split()[1]) < 400}


def test_other_settings_read_everything_anew(root: Path) -> None:
    log = root / "logs" / "a.jsonl"
    log.write_text(lines(1, 2))
    read(root)
    write_project(root, format="openai")
    facts, rows = read(root)
    assert (rows, facts.lines, facts.refused) == ([], 2, {"other_format": 2})
    write_project(root, logs=[])
    facts, rows = read(root)
    assert (rows, facts.logs, facts.lines) == ([], 0, 0)


def test_the_task_is_told_by_a_field_or_by_the_prompt(root: Path) -> None:
    values = yaml.safe_load((root / "stillhouse.yaml").read_text())
    values["tasks"][0]["instruction"] = "Name the department."
    values["tasks"].append({"name": "gist", "kind": "summarization", "sources": ["tickets"]})
    values["traffic"] |= {
        "task": {"field": "metadata.task", "names": {"short": "gist"}},
        "models": {"prod-7": "router"},
    }
    (root / "stillhouse.yaml").write_text(yaml.safe_dump(values))
    prompt = "Name the department.\n\nMy pump leaks.\n\nAnswer:"
    chat = [{"role": "system", "content": "Summarize this text\nin one sentence."},
            {"role": "user", "content": "A long text."}]  # fmt: skip
    said = [
        {"prompt": prompt, "model": "var/students/router/t-1/current/quantized"},
        {"messages": chat, "model": "prod-7"},
        {"input": "By field.", "metadata": {"task": "short"}, "model": "somebody's"},
        {"request": {"messages": [chat[1]], "metadata": {"task": "routing"}}},
        {"input": "Nobody's."},
        {"input": "Another's.", "metadata": {"task": "other"}},
        # A student of one task.
        {"input": "The router's.", "model": "router@t-1"},
    ]
    (root / "logs" / "a.jsonl").write_text("".join(json.dumps(x) + "\n" for x in said))
    facts, rows = read(root)
    assert {(row["task"], row["input"], row["student"]) for row in rows} == {
        ("routing", "My pump leaks.", "router"),
        ("routing", "The router's.", "router"),
        ("gist", "A long text.", "router"),
        ("gist", "By field.", None),
        ("routing", "A long text.", None),
    }
    assert facts.refused == {"no_task": 2}


def test_the_digest_of_the_listing_changes_with_each_write(root: Path) -> None:
    log, found = root / "logs" / "a.jsonl", set()
    for n in (1, 2):
        log.write_text(lines(*range(n)))
        found.add(logs_digest(root, ["logs/*"]))
    log.rename(root / "logs" / "b.jsonl")
    found.add(logs_digest(root, ["logs/*"]))
    assert len(found) == 3 and logs_digest(root, ["logs/*", "logs/b*"]) in found
