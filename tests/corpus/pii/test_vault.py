from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillhouse.corpus.pii.vault import (
    Vault,
    VaultEntry,
    identity_of,
    key_id,
    load_or_create_key,
)
from stillhouse.errors import UserError

MARIA = VaultEntry("Person-kuvora", "PERSON", "Maria Gonzalez")
LOUD_MARIA = VaultEntry("Person-kuvora", "PERSON", "MARIA GONZALEZ")
MAIL = VaultEntry("Email-babudi", "EMAIL_ADDRESS", "maria@acme.example")


@pytest.fixture
def key(tmp_path: Path) -> bytes:
    return load_or_create_key(tmp_path / "keys" / "vault.key")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "vault.key"
    first = load_or_create_key(path)
    assert load_or_create_key(path) == first
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert load_or_create_key(tmp_path / "other.key") != first


def test_key_that_others_may_read_or_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    load_or_create_key(path)
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        load_or_create_key(path)
    path.write_bytes(b"too short")
    path.chmod(0o600)
    with pytest.raises(UserError, match="holds no key"):
        load_or_create_key(path)


def _make_key(path: Path) -> bytes:
    return load_or_create_key(path)


def test_processes_that_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    # Its end needs no signal, which a process that was started to ignore some wouldn't take.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        keys = list(pool.map(_make_key, [tmp_path / "k.key"] * 4))
    assert len(set(keys)) == 1


def test_add_lookup_and_reopen(tmp_path: Path, key: bytes) -> None:
    vault = Vault(tmp_path / "vault", key)
    assert vault.lookup("Person-kuvora") == []
    assert vault.add([MARIA, MAIL, MARIA]) == 2
    assert vault.add([MARIA, LOUD_MARIA]) == 1
    assert vault.add([MARIA]) == 0
    again = Vault(tmp_path / "vault", key)
    assert again.lookup("Person-kuvora") == [LOUD_MARIA, MARIA]
    assert again.entries() == [MAIL, LOUD_MARIA, MARIA]
    assert len(list((tmp_path / "vault").iterdir())) == 2


def test_two_writers_see_each_others_entries(tmp_path: Path, key: bytes) -> None:
    one, two = Vault(tmp_path / "vault", key), Vault(tmp_path / "vault", key)
    one.add([MARIA])
    assert two.add([MARIA]) == 0
    two.add([MAIL])
    assert one.lookup("Email-babudi") == [MAIL]


def test_nothing_readable_on_disk_and_no_other_key_opens_it(tmp_path: Path, key: bytes) -> None:
    Vault(tmp_path / "vault", key).add([MARIA, MAIL])
    (segment,) = (tmp_path / "vault").iterdir()
    assert b"Maria" not in segment.read_bytes()
    assert b"kuvora" not in segment.read_bytes()
    assert mode(segment) == 0o600
    other = load_or_create_key(tmp_path / "other.key")
    with pytest.raises(UserError, match="doesn't open"):
        Vault(tmp_path / "vault", other).lookup("Person-kuvora")
    segment.write_bytes(segment.read_bytes()[:-9])
    with pytest.raises(UserError, match="damaged"):
        Vault(tmp_path / "vault", key).entries()


def test_a_write_that_dies_leaves_the_vault_as_it_was(
    tmp_path: Path, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(tmp_path / "vault", key)
    vault.add([MARIA])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, "fsync", full)
        vault.add([MAIL])
    assert Vault(tmp_path / "vault", key).entries() == [MARIA]
    assert vault.add([MAIL]) == 1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.builds(VaultEntry, st.sampled_from(["p", "q"]), st.just("K"), st.text()), max_size=8
    )
)
def test_what_goes_in_comes_out(
    tmp_path_factory: pytest.TempPathFactory, key: bytes, entries: list[VaultEntry]
) -> None:
    path = tmp_path_factory.mktemp("vault") / "v"
    assert Vault(path, key).add(entries) == len(set(entries))
    assert Vault(path, key).entries() == sorted(set(entries))


def test_only_what_is_needed_stays(tmp_path: Path, key: bytes) -> None:
    vault = Vault(tmp_path / "vault", key)
    vault.add([MARIA, MAIL])
    vault.add([LOUD_MARIA])
    identity = vault.identity
    assert vault.keep_only({MARIA.pseudonym}) == 1
    assert vault.entries() == [LOUD_MARIA, MARIA]
    assert vault.add([MAIL, MARIA]) == 1
    assert vault.keep_only({"Email-babudi", "Person-kuvora"}) == 0
    assert vault.identity == identity
    assert vault.keep_only(set()) == 3
    assert vault.entries() == []


def test_forgetting_that_dies_half_way_loses_nothing_that_is_needed(
    tmp_path: Path, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(tmp_path / "vault", key)
    vault.add([MARIA, MAIL])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        vault.keep_only({MARIA.pseudonym})
    again = Vault(tmp_path / "vault", key)
    assert MARIA in again.entries()
    again.keep_only({MARIA.pseudonym})
    assert again.entries() == [MARIA]


def test_an_identity_is_made_once_and_private(tmp_path: Path, key: bytes) -> None:
    assert identity_of(tmp_path / "vault") is None
    vault = Vault(tmp_path / "vault", key)
    assert not (tmp_path / "vault").exists()
    first = vault.identity
    assert first == Vault(tmp_path / "vault", key).identity == identity_of(tmp_path / "vault")
    assert mode(tmp_path / "vault" / "identity") == 0o600
    assert mode(tmp_path / "vault") == 0o700
    assert vault.renew() != first


def test_entries_and_key_ids_give_nothing_away(key: bytes) -> None:
    assert "Maria" not in repr(MARIA)
    assert key_id(key) == key_id(key) != key_id(key[::-1])
    assert key_id(key).encode() not in key


def test_a_key_that_was_being_written_when_its_writer_was_killed_does_not_stay(
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys" / "vault.key"
    code = f"""
import os
from pathlib import Path
from stillhouse.corpus.pii import vault
write = vault.write_private
def killed(target, data):
    write(target, data)
    os.kill(os.getpid(), 9)
vault.write_private = killed
vault.load_or_create_key(Path({str(path)!r}))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert not path.exists()
    key = load_or_create_key(path)
    copies = [f for f in path.parent.rglob("*") if f.is_file() and f.stat().st_size >= 44]
    assert copies == [path] and path.read_bytes().strip() == key
