"""What was edited is refused, by name; what was killed left the old or the new."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stillhouse.config.base import settings_of
from stillhouse.errors import UserError
from stillhouse.release.channels import channels_of, history, pointed
from stillhouse.release.dossier import dossier
from stillhouse.release.promote import Asked, propose, release, rollback
from stillhouse.release.published import find_release, read_manifest, releases_of
from stillhouse.release.signing import load_key, load_or_create_key, signature
from stillhouse.state import State

WHY = Asked("wanted in the shop")


def test_settings_of_tasks_keep_their_order(state: State) -> None:
    """That of an extraction's fields is part of what was learned."""
    name, _ = propose(state, dossier(state, "t-2", "router"))
    said = read_manifest(state.layout, "router", name)["task_settings"]["routing"]
    assert list(said) == list(settings_of(state.project.task("routing"))) != sorted(said)


def overridden(folder: Path) -> None:
    """As somebody would who wants a gate to have passed."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["gates"][0]["value"] = 0.0
    file.write_text(json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def signed_anew(folder: Path) -> None:
    """With a key of their own, whose public half lies beside it."""
    overridden(folder)
    other = load_or_create_key(folder.parents[2] / "other.key")
    data = (folder / "manifest.json").read_bytes()
    (folder / "manifest.sig").write_text(signature(other, data))


def planted(folder: Path) -> None:
    (folder / "quantized" / "modeling.py").write_text("import os")


def linked(folder: Path) -> None:
    (folder / "quantized" / "model.safetensors").unlink()
    (folder / "quantized" / "model.safetensors").symlink_to("/etc/hostname")


def same_size(folder: Path) -> None:
    file = folder / "quantized" / "model.safetensors"
    file.write_text(file.read_text()[::-1])


EDITS = {
    "manifest.json: its signature": (overridden, signed_anew,
        lambda f: (f / "manifest.sig").write_text("nonsense!"),
        lambda f: (f / "manifest.sig").write_bytes(b"\xff\xfe")),
    "manifest.json: it, or its signature, can't be read": (
        lambda f: (f / "manifest.json").unlink(),),
    "quantized/modeling.py: the manifest doesn't name it": (planted,),
    "quantized/model.safetensors: its size": (
        linked, lambda f: (f / "quantized" / "model.safetensors").write_text("short")),
    "quantized/model.safetensors: its content": (same_size,),
    "evaluation.json: it is missing": (lambda f: (f / "evaluation.json").unlink(),),
    "README.md: its size": (lambda f: (f / "README.md").write_text("All is well."),),
}  # fmt: skip
CASES = [(says, edit) for says, edits in EDITS.items() for edit in edits]


@pytest.mark.parametrize(("says", "edit"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_what_was_edited_is_refused_with_its_file(
    state: State, says: str, edit: Callable[[Path], None]
) -> None:
    name, _ = propose(state, dossier(state, "t-2", "router"))
    folder = state.layout.release("router", name)
    edit(folder)
    if (
        says.startswith("manifest.json: its signature")
        and b"\xff" in (folder / "manifest.sig").read_bytes()
    ):
        says = "manifest.json: it, or its signature, can't be read"
    for use in (
        lambda: read_manifest(state.layout, "router", name, files=True),
        lambda: release(state, "router", WHY),
        lambda: rollback(state.layout, "router", WHY, to=name),
    ):
        with pytest.raises(UserError) as caught:
            use()
        assert says in str(caught.value) and "edited" in str(caught.value)
    assert pointed(state.layout, "router", "production") is None


def test_an_old_manifest_does_not_pass_for_another_release(state: State) -> None:
    """Each is signed, and its files are what it says: but it is not the one that was named."""
    names = [propose(state, dossier(state, v, "router"))[0] for v in ("t-1", "t-2")]
    folders = [state.layout.release("router", name) for name in names]
    folders[1].rename(folders[1].with_name("aside"))
    folders[0].rename(folders[1])
    with pytest.raises(UserError, match="it is that of another release"):
        release(state, "router", WHY)


def test_the_key_is_its_owners_alone_and_is_not_replaced(state: State) -> None:
    release(state, "router", WHY)
    path = state.layout.key("release")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(UserError, match="others may read this key"):
        release(state, "router", WHY)
    path.unlink()
    with pytest.raises(UserError, match="restore it from a backup"):
        release(state, "router", WHY)
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(UserError, match="it holds no Ed25519 key"):
        load_key(path)


def test_a_release_is_found_by_how_its_id_begins(state: State) -> None:
    name, _ = propose(state, dossier(state, "t-2", "router"))
    assert find_release(state.layout, name[:7]) == ("router", name)
    propose(state, dossier(state, "t-1", "router"))
    with pytest.raises(UserError, match="2 releases are called t-"):
        find_release(state.layout, "t-")


# One process that has the imports done, and forks those that release: killed at the n-th time that
# a file is forced to disk, renamed, linked or removed; then one that is not; then two at once.
FORKED = """
import itertools, json, os, pathlib, signal, sys
import cryptography.hazmat.primitives.asymmetric.ed25519, duckdb, pyarrow.parquet
import cryptography.hazmat.primitives.serialization
from stillhouse.release.channels import pointed
from stillhouse.release.libraries import installed
from stillhouse.release.promote import Asked, release
from stillhouse.release.published import read_manifest, releases_of
from tests.release.conftest import reopened

installed()  # listed once: a third of a second

def counted(call, left):
    def called(*a, **k):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*a, **k)
    return called

def releasing(calls):
    if (child := os.fork()):
        return child
    left = [calls]
    for where, names in ((os, ("fsync", "rename", "replace", "symlink")),
                         (pathlib.Path, ("rename", "replace", "symlink_to", "unlink", "mkdir"))):
        for name in names:
            setattr(where, name, counted(getattr(where, name), left))
    release(state, "router", Asked("wanted in the shop"))
    os._exit(0)

state, seen = reopened(pathlib.Path(sys.argv[1])), []
for calls in itertools.count(0, 2):
    _, status = os.waitpid(releasing(calls), 0)
    seen.append(pointed(state.layout, "router", "production"))
    for name in releases_of(state.layout, "router"):
        read_manifest(state.layout, "router", name, files=True)
    if status != signal.SIGKILL:
        break
both = [releasing(100000) for _ in range(2)]
ends = [status, *(os.waitpid(child, 0)[1] for child in both)]
print(json.dumps({"seen": seen, "ends": ends}))
"""


def test_a_kill_at_any_moment_leaves_the_old_or_the_new(
    state: State, retrain: Callable[..., None]
) -> None:
    old = release(state, "router", WHY).release
    retrain(state, "t-2", "other weights")
    command = [sys.executable, "-c", FORKED, str(state.project.root)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    *killed, new = found["seen"]
    assert len(killed) > 10 and killed[0] == old and new not in (old, None)
    assert set(killed) <= {old, new} and killed == sorted(killed, key=lambda name: name == new)
    assert found["ends"] == [0, 0, 0]
    assert set(releases_of(state.layout, "router")) == {old, new}
    assert channels_of(state.layout, "router", new) == ["production"]
    assert [p.name for p in state.layout.channel("router", "x").parent.iterdir()] == ["production"]
    # Who came last changed nothing.
    moves = [m for m in history(state.layout) if m.after == new]
    assert 1 <= len(moves) <= 1 + killed.count(old)
    assert rollback(state.layout, "router", WHY).release == old
