"""A server from start to end: what it serves, where it listens, how it stops."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.lm.prompts import Example
from stillhouse.release.channels import PRODUCTION, pointed
from stillhouse.serve.door import Limits
from stillhouse.serve.keys import Keys, read_keys
from stillhouse.serve.log import RequestLog, require_writable
from stillhouse.serve.replaced import settle
from stillhouse.serve.service import Followed, Service
from stillhouse.serve.shadow import Shadow
from stillhouse.serve.students import Student, load_released, load_unreleased
from stillhouse.storage.layout import Layout
from stillhouse.tasks.common import Examples

if TYPE_CHECKING:
    import uvicorn

logger = logging.getLogger("stillhouse")

# What is under way when the server is asked to end has so long.
GRACE_SECONDS = 60
WARM_LENGTHS, WARM_ROWS = (16, 48, 96, 160), (1, 4, 16)


@dataclass(frozen=True)
class Asked:
    """What is to be served. `channel` None stands for what there is of teacher `version`, released
    or not; students of the channel `shadow` answer again, for the log."""

    students: Sequence[str] = ()
    channel: str | None = PRODUCTION
    version: str | None = None
    keys: Path | None = None
    log: Path | None = None
    shadow: str | None = None
    limits: Limits = field(default_factory=Limits)


def open_service(project: Project, asked: Asked) -> Service:
    """Load and verify the students, and start the log.

    Raises:
        UserError: a student is unknown or not there, its release doesn't verify, the file of keys
            can't be used, the log can't be written, or the shadow has nothing to answer with.
    """
    keys = read_keys(asked.keys) if asked.keys else Keys({})
    if asked.log:
        require_writable(asked.log)
    layout = Layout(project.data_path)
    names = asked.students or [student.name for student in project.students]
    students: dict[str, Student] = {}
    followed = []
    for name in names:
        project.student(name)
        if asked.channel is None:
            version = asked.version or project.teachers[-1].version
            students[name] = warmed(load_unreleased(project, layout, name, version))
            continue
        load = partial(_loaded, project, layout, name, asked.channel)
        students[name] = load()
        release = partial(pointed, layout, name, asked.channel)
        followed.append(Followed(name, release, load))
        logger.info("%s: release %s", name, students[name].release)
    shadow = _shadow(project, layout, asked, list(names))
    log = RequestLog(project.file, asked.log) if asked.log else None
    return Service(students, tuple(followed), keys, asked.limits, log, shadow)


def _shadow(project: Project, layout: Layout, asked: Asked, names: list[str]) -> Shadow | None:
    if asked.shadow is None:
        return None
    if asked.log is None:
        raise UserError(
            "--shadow: what the shadow answers is written to the log, and there is none",
            remedy="name a folder for it with --log.",
        )
    for name in names:
        if pointed(layout, name, asked.shadow) is None:
            raise UserError(
                f"--shadow {asked.shadow}: nothing of {name} was released to it",
                remedy=f"`stillhouse release {name} --channel {asked.shadow} --reason ...`, or "
                "name the students to serve that have one.",
            )
    return Shadow(project.file, asked.shadow, names)


def _loaded(project: Project, layout: Layout, name: str, channel: str) -> Student:
    return warmed(load_released(project, layout, name, channel))


def warmed(student: Student) -> Student:
    """After passes of some sizes: the first of a size takes longer than the next ones."""
    for kind in student.kinds.values():
        if not kind.answer_tokens:
            student.grammars  # noqa: B018 - takes the tokenizer apart
            continue
        for length in WARM_LENGTHS:
            for rows in WARM_ROWS:
                # Other tokens in each row, or they would be one text.
                ids = [[(row * length + at) % 200 for at in range(length)] for row in range(rows)]
                examples = [Example("", [*one, 0], length) for one in ids]
                asked = Examples(kind, examples, [""] * rows, [""] * rows)
                kind.predict(student.model, student.encoder, asked)
    return student


def require_loopback(host: str, keys: Path | None) -> None:
    """Raise `UserError` unless only this machine can reach `host`, or there are keys."""
    if keys is not None:
        return
    found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    if not all(ipaddress.ip_address(str(a).partition("%")[0]).is_loopback for a in found):
        raise UserError(
            f"--host {host}: others could ask there, and anybody may without keys",
            remedy="listen on 127.0.0.1, or name a file of keys with --keys.",
        )


def serve(service: Service, host: str, port: int) -> None:
    """Listen until a signal says to stop; what is under way is answered first."""
    import uvicorn

    server = uvicorn.Server(configured(service, host, port))
    settle()
    server.run()


def configured(service: Service, host: str, port: int) -> uvicorn.Config:
    """How uvicorn is to serve it."""
    import uvicorn

    from stillhouse.serve.app import application
    from stillhouse.serve.connection import Connection

    return uvicorn.Config(
        application(service),
        host=host,
        port=port,
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
