"""Facts of a release."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReleaseGateFacts:
    """What a student was held to before it may go out. `verdict` is one of release/gates.py's;
    `where` names what measured it; `value` and `limit` are those of `task`, where one decided."""

    name: str
    verdict: str
    description: str
    where: str
    value: float | None = None
    limit: float | None = None
    task: str | None = None


@dataclass(frozen=True)
class ReleaseFacts:
    """`release` is the id of the release that was made, None where something forbade one: `held_by`
    names `missed` gates, those that are required and not measured, and "stale". `candidate` tells
    whether the channel of that name leads to it; it stays with a newer teacher's. `trained_on` is
    the dataset's digest, `manifest` is relative to the data directory."""

    digest: str
    releasable: bool
    held_by: list[str]
    release: str | None
    candidate: bool
    missed: list[str]
    not_measured: list[str]
    gates: list[ReleaseGateFacts]
    stale: str | None = None
    manifest: str | None = None
    trained_on: str | None = None
    duties: list[str] = field(default_factory=list)
