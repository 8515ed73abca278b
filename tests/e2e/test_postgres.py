"""Dagster's history in a real Postgres on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from stillhouse.config.project import load_project
from stillhouse.definitions import build_defs
from stillhouse.errors import UserError
from stillhouse.instance import POSTGRES_VARIABLE, open_instance, register_teachers

# Debian's package puts the server's programs on nobody's path.
PLACES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
OWNER = "postgres"


def _program(name: str) -> str | None:
    return shutil.which(name) or next((str(p / name) for p in PLACES if (p / name).exists()), None)


def _user() -> str | None:
    """Postgres won't run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(OWNER).pw_name
    except KeyError:
        pytest.skip(f"runs as root, and there is no user {OWNER}")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    initdb, ctl = _program("initdb"), _program("pg_ctl")
    if initdb is None or ctl is None:
        pytest.skip("no Postgres on this machine (Debian: postgresql)")
    user = _user()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as scratch:
        if user:
            shutil.chown(scratch, user)
        data = f"{scratch}/data"

        def run(*command: str) -> None:
            subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, cwd=scratch)

        run(initdb, "-D", data, "-U", "house", "--auth=trust", "--no-sync")
        options = f"-h 127.0.0.1 -p {port} -k {scratch} -c fsync=off"
        run(ctl, "-D", data, "-o", options, "-l", f"{scratch}/log", "-w", "start")
        try:
            yield f"postgresql+psycopg2://house@127.0.0.1:{port}/postgres"
        finally:
            run(ctl, "-D", data, "-m", "immediate", "stop")


def _without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set first: what was never set is not put back, and opening an instance sets it."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("DAGSTER_HOME")


def test_runs_and_versions_stand_in_postgres(
    url: str, small_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load_project(small_project(tickets=5))
    _without_home(monkeypatch)
    monkeypatch.setenv(POSTGRES_VARIABLE, url)
    with open_instance(project) as instance:
        assert "Postgres" in type(instance.run_storage).__name__
        assert register_teachers(instance, project) == ["small-1"]
        job = build_defs(project.file).resolve_job_def("clear_caches")
        run_id = job.execute_in_process(instance=instance).run_id
    with open_instance(project) as again:
        run = again.get_run_by_id(run_id)
        assert run is not None and run.status == dg.DagsterRunStatus.SUCCESS
        assert register_teachers(again, project) == []
        assert not list((project.data_path / "dagster").rglob("*.db"))


def test_a_home_that_uses_sqlite_is_told(
    small_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load_project(small_project(tickets=5))
    _without_home(monkeypatch)
    monkeypatch.delenv(POSTGRES_VARIABLE, raising=False)
    open_instance(project).dispose()
    monkeypatch.setenv(POSTGRES_VARIABLE, "postgresql://house@127.0.0.1:1/none")
    with pytest.raises(UserError, match=r"dagster\.yaml does not use it"):
        open_instance(project)
