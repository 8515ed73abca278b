"""The sensor of drift through its context: what it asks for, once, and what it remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stillhouse.config.project import load_project
from stillhouse.definitions import build_defs
from stillhouse.facts import DriftReportFacts, DriftTestFacts
from stillhouse.outside import open_state
from stillhouse.sensors import drift
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.provenance import Provenance, Recipe
from tests.made import MINIMAL, facts_of, make_all

WATCHED = "traffic: {logs: [logs/*.jsonl]}\ndrift: {cool_down_days: 7}\n"


class Site:
    """A project with logs and a student, an instance, and a clock."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root, self.instance = root, instance
        self.now, self.cursor = datetime(2026, 5, 1, tzinfo=UTC), None
        self.keys: list[str] = []
        (root / "logs").mkdir()
        (root / "t.jsonl").write_text("{}\n")
        (root / "stillhouse.yaml").write_text(MINIMAL + WATCHED)
        make_all(self.state)
        self.defs = build_defs(root / "stillhouse.yaml")
        self.sensor = self.defs.resolve_sensor_def("drift")

    @property
    def state(self) -> State:
        return open_state(load_project(self.root))

    def log(self, text: str) -> None:
        with (self.root / "logs" / "a.jsonl").open("a") as stream:
            stream.write(text)

    def report(self, traffic: str, auc: float) -> None:
        """As `drift_report` would have written it."""
        test = DriftTestFacts("routing", "domain", "auc", auc, 0.001, 0.001, 0.001)
        facts = facts_of(DriftReportFacts, tests=[test])
        folder = self.state.folder(Artefact(STEPS["drift_report"], "t-1", "router"))
        Provenance.now(Recipe({"production_traffic": traffic}, {}, {}), facts).write(folder)

    def tick(self, after: float = 2) -> list[tuple[str | None, str | None]]:
        """Jobs and partitions asked for, `after` hours later, in another process: of the last tick
        there is its cursor alone. No key was ever asked for before."""
        self.now += timedelta(hours=after)
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=self.defs
        )
        found: Any = self.sensor(context)
        if isinstance(found, dg.SkipReason):
            self.said = found.skip_message
            return []
        self.cursor, self.said = found.cursor, getattr(found.skip_reason, "skip_message", None)
        for request in found.run_requests:
            assert request.run_key not in self.keys
            self.keys.append(str(request.run_key))
        return [(request.job_name, request.partition_key) for request in found.run_requests]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with dg.DagsterInstance.ephemeral() as instance:
        found = Site(tmp_path, instance)

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return found.now

        monkeypatch.setattr(drift, "datetime", Clock)
        instance.add_dynamic_partitions("teacher_version", ["t-1"])
        yield found


WATCH, REFRESH = ("watch", "t-1"), ("refresh", "t-1")


def test_logs_are_looked_at_when_they_were_written_to_and_not_too_often(site: Site) -> None:
    site.log("a\n")
    assert site.tick() == [WATCH]
    assert site.tick() == [] and site.said == "no log was written to"
    site.log("b\n")
    assert site.tick() == [WATCH]
    site.log("c\n")
    assert site.tick(0.2) == [] and "within the last hour" in str(site.said)
    assert site.tick(1) == [WATCH]
    (site.root / "logs" / "a.jsonl").write_text("")  # and cut back to what it was before
    assert site.tick() == [WATCH]


def test_drift_is_distilled_from_once_and_not_again_before_its_time(site: Site) -> None:
    site.tick()
    site.report("traffic 1", 0.6)
    assert site.tick() == []
    site.report("traffic 1", 0.9)
    assert site.tick() == [REFRESH]
    assert site.tick() == [] and "already" in str(site.said)
    site.report("traffic 2", 0.9)
    assert site.tick() == [] and "cool_down_days" in str(site.said)
    assert site.tick(24 * 7) == [REFRESH]
    assert site.tick(24 * 30) == []
    # Of one traffic once, whatever was compared meanwhile.
    site.report("traffic 3", 0.6)
    assert site.tick() == []


def test_a_clock_that_was_set_back_keeps_nothing_waiting(site: Site) -> None:
    site.log("a\n")
    site.report("traffic 1", 0.9)
    assert site.tick() == [WATCH, REFRESH]
    site.log("b\n")
    site.report("traffic 2", 0.9)
    assert site.tick(-24 * 365) == [WATCH, REFRESH]
    assert site.tick(0.1) == []


def test_a_broken_cursor_or_project_file_is_no_end(site: Site) -> None:
    site.log("a\n")
    site.cursor = json.dumps({"of": "another release"})  # type: ignore[assignment]
    assert site.tick() == [WATCH]
    good = (site.root / "stillhouse.yaml").read_text()
    (site.root / "stillhouse.yaml").write_text(good.replace("routing", "r\t"))
    assert site.tick() == [] and "stillhouse.yaml" in str(site.said)
    (site.root / "stillhouse.yaml").write_text(good)
    assert site.tick() == [] and site.said == "no log was written to"


def test_without_logs_or_a_student_nothing_is_asked_for(site: Site) -> None:
    site.log("a\n")
    site.instance.delete_dynamic_partition("teacher_version", "t-1")
    assert site.tick() == [] and "no student" in str(site.said)
    (site.root / "stillhouse.yaml").write_text(MINIMAL)
    assert site.tick() == [] and "traffic.logs" in str(site.said)
