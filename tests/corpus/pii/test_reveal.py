from __future__ import annotations

import json
import os
import pwd
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stillhouse.corpus.pii.reveal import asked, reveal
from stillhouse.corpus.pii.vault import Vault, VaultEntry, load_or_create_key
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout

ENTRIES = [
    VaultEntry("Person-kuvora", "PERSON", "Maria Gonzalez"),
    VaultEntry("Person-kuvora", "PERSON", "MARIA GONZALEZ"),
    VaultEntry("Email-babudi", "EMAIL_ADDRESS", "maria@acme.example"),
]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "var")
    Vault(layout.vault, load_or_create_key(layout.key("vault"))).add(ENTRIES)
    return layout


def test_originals_come_after_a_line_in_the_log(layout: Layout) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    found = reveal(layout, "Person-kuvora", "a customer asked what we keep")
    assert {entry.value for entry in found} == {"Maria Gonzalez", "MARIA GONZALEZ"}
    reveal(layout, "Email-babudi", "the same")
    first, second = asked(layout)
    assert first and second
    assert before <= datetime.fromisoformat(first.time) <= datetime.now(UTC)
    assert first.user == pwd.getpwuid(os.getuid()).pw_name
    assert (first.pseudonym, first.reason) == ("Person-kuvora", "a customer asked what we keep")
    assert second.pseudonym == "Email-babudi"
    assert stat.S_IMODE(layout.reveals.stat().st_mode) == 0o600


def test_the_log_is_on_disk_before_anything_is_returned(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stillhouse.storage.log.os.fsync", full)
    with pytest.raises(UserError, match=r"log of who asked can't be written.*No space"):
        reveal(layout, "Person-kuvora", "why")


def test_a_log_that_leads_elsewhere_is_not_followed(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    layout.reveals.symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match="can't be written"):
        reveal(layout, "Person-kuvora", "why")
    assert (tmp_path / "other").read_text() == ""


def test_the_log_never_holds_an_original(layout: Layout) -> None:
    reveal(layout, "Person-kuvora", "Is it maria, or Gonzalez herself?\nof Maria Gonzalez")
    with pytest.raises(UserError, match="holds no such pseudonym"):
        reveal(layout, "Maria Gonzalez", "whoever")
    text = layout.reveals.read_text()
    assert "maria" not in text.casefold() and "gonzalez" not in text.casefold()
    first, second = asked(layout)
    assert first and first.reason == "Is it [...], or [...] herself?\nof [...]"
    assert second and second.pseudonym is None and second.reason == "whoever"


def test_without_the_key_nothing_is_revealed_and_none_is_made(layout: Layout) -> None:
    key = layout.key("vault")
    key.rename(key.with_suffix(".away"))
    with pytest.raises(UserError, match=r"no such key[\s\S]*backup, with mode 0600"):
        reveal(layout, "Person-kuvora", "why")
    assert not key.exists()
    load_or_create_key(key)
    with pytest.raises(UserError, match="doesn't open with this key"):
        reveal(layout, "Person-kuvora", "why")
    key.chmod(0o644)
    with pytest.raises(UserError, match="others may read"):
        reveal(layout, "Person-kuvora", "why")
    assert not layout.reveals.exists()


def test_a_reason_is_needed_and_a_vault(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it says nothing"):
        reveal(layout, "Person-kuvora", "  ")
    empty = Layout(tmp_path / "other")
    load_or_create_key(empty.key("vault"))
    with pytest.raises(UserError, match="there is no vault"):
        reveal(empty, "Person-kuvora", "why")
    assert list(asked(empty)) == []


def test_a_torn_line_costs_itself_alone(layout: Layout) -> None:
    reveal(layout, "Person-kuvora", "one")
    with layout.reveals.open("a") as stream:
        stream.write('{"time": "2031')
    reveal(layout, "Person-kuvora", "two")
    lines = list(asked(layout))
    assert [line and line.reason for line in lines] == ["one", None, "two"]
    assert json.loads(layout.reveals.read_text().splitlines()[-1])["reason"] == "two"
