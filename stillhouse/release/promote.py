"""A student goes out, comes back, or is removed: each under the lock of its releases."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.dataset.lineage import LEARNED_FROM
from stillhouse.errors import UserError
from stillhouse.release import channels
from stillhouse.release.channels import CANDIDATE, PRODUCTION, channels_of, move, pointed
from stillhouse.release.dossier import (
    STALE,
    dossier,
    files_of,
    held_by,
    unchanging,
    why_stale,
)
from stillhouse.release.published import publish, read_manifest
from stillhouse.state import State
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import exclusive
from stillhouse.wording import number


@dataclass(frozen=True)
class Asked:
    """Who wants something, and why; and which gates are overridden in their name."""

    reason: str
    by: str | None = None
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """A channel leads to `release` now; `before` it led to another one, or nowhere."""

    student: str
    channel: str
    release: str
    before: str | None


def propose(state: State, content: dict[str, Any]) -> tuple[str, bool]:
    """Make a release of a student that nothing forbids to go out, and lead `candidate` to it;
    returns its id, and whether the channel leads there: it stays with a newer teacher's student.

    Raises `UserError` as `publish` does.
    """
    version, student, layout = content["teacher"]["version"], content["student"], state.layout
    with releases_lock(layout, student):
        with unchanging(state, version, student):
            release = _published(state, content)
        present = pointed(layout, student, CANDIDATE)
        if present is not None and _rank(state, layout, student, present) > _place(state, version):
            return release, False
        reason = "no gate is missed"
        move(layout, student, CANDIDATE, release, action=channels.RELEASE, by=None, reason=reason)
        return release, True


def _place(state: State, version: str) -> int:
    versions = [teacher.version for teacher in state.project.teachers]
    return versions.index(version) if version in versions else -1


def _rank(state: State, layout: Layout, student: str, release: str) -> int:
    try:
        manifest = read_manifest(layout, student, release)
    except UserError:
        return -1  # removed or edited: nothing to hold on to
    return _place(state, manifest["teacher"]["version"])


def release(
    state: State,
    student: str,
    asked: Asked,
    *,
    version: str | None = None,
    channel: str = PRODUCTION,
) -> Done:
    """Lead `channel` to the candidate, or to a release of the student as it is now: where there is
    no candidate (of that teacher version), or where gates are overridden.

    Raises:
        UserError: a gate is missed or the student is stale, and nobody overrides it; the candidate
            was edited; or there is nothing to release. The channel then stays as it is.
    """
    layout = state.layout
    state.project.student(student)
    _require_reason(asked)
    with releases_lock(layout, student):
        chosen = _candidate(state, student, version, asked, channel)
        if chosen is None:
            chosen = _of_student(state, student, version, asked)
        before = pointed(layout, student, channel)
        move(
            layout, student, channel, chosen,
            action=channels.RELEASE, by=asked.by, reason=asked.reason,
        )  # fmt: skip
        return Done(student, channel, chosen, before)


def _candidate(
    state: State, student: str, version: str | None, asked: Asked, channel: str
) -> str | None:
    """The candidate, verified; None where it is not what is asked for."""
    found = pointed(state.layout, student, CANDIDATE)
    if found is None or channel == CANDIDATE or set(asked.overrides) - {STALE}:
        return None
    manifest = read_manifest(state.layout, student, found, files=True)
    of = manifest["teacher"]["version"]
    if version not in (None, of):
        return None
    stale = why_stale(state, of, student) or _moved_on(state, manifest)
    if stale is None:
        _refuse_idle(asked.overrides)
        return found
    if STALE not in asked.overrides:
        raise _stale(student, f"the candidate {found}", stale)
    content = {n: v for n, v in manifest.items() if n not in ("release", "created", "files")}
    content |= {"stale": stale, "overrides": {**manifest["overrides"], **_names(asked)}}
    folder = state.layout.release(student, found)
    files = {name: folder / name for name in manifest["files"]}
    learned = state.layout.release_learned_from(student, found)
    return publish(state.layout, content, files, learned, by=asked.by)


def _moved_on(state: State, manifest: dict[str, Any]) -> str | None:
    """Why the candidate is not the student that there is now."""
    version, student = manifest["teacher"]["version"], manifest["student"]
    now = state.facts_of("quantized_model", version, student).digest
    return "the student was made anew since" if now != manifest["model"]["digest"] else None


def _of_student(state: State, student: str, version: str | None, asked: Asked) -> str:
    chosen = state.project.teacher(version or state.project.teachers[-1].version).version
    with unchanging(state, chosen, student):
        content = dossier(state, chosen, student)
        held = held_by(content)
        _refuse_idle([name for name in asked.overrides if name not in held])
        content["overrides"] = _names(asked)
        if left := held_by(content):
            if left == [STALE]:
                raise _stale(student, f"{student} [{chosen}]", content["stale"])
            raise UserError(
                f"{student} [{chosen}] may not go out: {_in_words(content, left)}; nothing was "
                "released",
                remedy="`stillhouse run` makes what is stale; the report says what each gate "
                "missed. Whoever answers for it may name the gate: --override GATE --by NAME.",
            )
        return _published(state, content)


def _published(state: State, content: dict[str, Any]) -> str:
    version, student = content["teacher"]["version"], content["student"]
    checkpoint = state.layout.student(student, version) / "checkpoint"
    files = files_of(state, version, student)
    return publish(state.layout, content, files, checkpoint / LEARNED_FROM)


def _in_words(content: dict[str, Any], held: Sequence[str]) -> str:
    said = {gate["name"]: gate for gate in content["gates"]}
    return "; ".join(
        f"{name} ({content['stale']})"
        if name == STALE
        else f"{name} is {said[name]['verdict']} "
        f"({number(said[name]['value'])} against {number(said[name]['limit'])})"
        for name in held
    )


def _names(asked: Asked) -> dict[str, dict[str, str]]:
    return {gate: {"by": str(asked.by), "reason": asked.reason} for gate in asked.overrides}


def _require_reason(asked: Asked) -> None:
    if not asked.reason.strip():
        raise UserError("--reason: it says nothing", remedy="say why; it stands in the history.")
    if asked.overrides and not (asked.by or "").strip():
        raise UserError(
            "--override: nobody answers for it",
            remedy="name who does: --by NAME. Name and reason stand in the manifest.",
        )


def _refuse_idle(names: Sequence[str]) -> None:
    if names:
        raise UserError(
            f"--override {', '.join(names)}: there is nothing to override",
            remedy="leave it out: only what holds the student back is overridden.",
        )


def _stale(student: str, what: str, why: str) -> UserError:
    return UserError(
        f"{what} is stale ({why}); nothing was released",
        remedy=f"`stillhouse run` makes {student} anew and proposes it; or --override stale "
        "--by NAME.",
    )


def rollback(
    layout: Layout,
    student: str,
    asked: Asked,
    *,
    to: str | None = None,
    channel: str = PRODUCTION,
) -> Done:
    """Lead `channel` back to the release that it led to before, or to the one named.

    Raises:
        UserError: there is none, or it was edited: the channel then stays as it is.
    """
    _require_reason(asked)
    with releases_lock(layout, student):
        before = pointed(layout, student, channel)
        target = to or channels.previous(layout, student, channel)
        if target is None:
            raise UserError(
                f"{channel} of {student} led to no other release before",
                remedy="name one that `stillhouse releases` lists, with --to.",
            )
        read_manifest(layout, student, target, files=True)
        move(
            layout, student, channel, target,
            action=channels.ROLLBACK, by=asked.by, reason=asked.reason,
        )  # fmt: skip
        return Done(student, channel, target, before)


def remove(layout: Layout, student: str, release: str, asked: Asked) -> None:
    """Remove a release that no channel leads to; that there was one stays in the history.

    Raises `UserError` when a channel leads to it, or there is none.
    """
    _require_reason(asked)
    with releases_lock(layout, student):
        if led := channels_of(layout, student, release):
            raise UserError(
                f"{release} is what {' and '.join(led)} of {student} leads to",
                remedy="release another one, or roll back, first.",
            )
        folder = layout.release(student, release)
        if not folder.is_dir():
            raise UserError(
                f"there is no release {release} of {student}",
                remedy="`stillhouse releases` lists those that there are.",
            )
        channels.note(
            layout, channels.REMOVE, student, None, release, None,
            by=asked.by, reason=asked.reason,
        )  # fmt: skip
        _remove_whole(folder)
        layout.release_learned_from(student, release).unlink(missing_ok=True)


def _remove_whole(folder: Path) -> None:
    """Out of sight at once: half of a release is never seen."""
    for left in folder.parent.glob(".*.removed"):  # of a killed process: we hold the lock
        shutil.rmtree(left)
    aside = folder.with_name(f".{folder.name}.removed")
    folder.rename(aside)
    shutil.rmtree(aside)


def releases_lock(layout: Layout, student: str) -> AbstractContextManager[None]:
    """Held by whoever makes, moves or removes a release of the student."""
    return exclusive(layout.lock(student, "releases"), f"releases of {student}")
