"""Where everything lies below a project's data directory: the one place that knows the paths."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True)
class Layout:
    """Paths below the data directory `root`; nothing here creates them."""

    root: Path

    # What `teacher(version)` holds of ours; a model that a mirror put there lies beside it.
    TEACHER_PARTS: ClassVar = (
        *("model", "adapted", "answers", "soft_labels", "predictions"),
        "source.json",
    )

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    def table(self, asset: str) -> Path:
        """The Parquet file of an asset's table; `tables/<asset>/*.parquet` is the public form."""
        return self.tables / asset / "data.parquet"

    @property
    def economics(self) -> Path:
        """What a student costs: a page, tables, figures."""
        return self.root / "economics"

    def quarantine(self, stage: str) -> Path:
        return self.tables / "quarantine" / f"{stage}.parquet"

    def staging(self, *names: str) -> Path:
        """What an artefact under way resumes from; no glob over `tables/` may see it."""
        return self.root.joinpath("staging", *names)

    @property
    def split_memory(self) -> Path:
        """What splits remember: (settings, document, key, side), in digests. No cache: what it says
        of families that were moved can't be computed again."""
        return self.root / "splits" / "memory.parquet"

    def snapshot(self, digest: str) -> Path:
        """`dataset_splits` as it was at a digest: what a run in progress works on."""
        return self.root / "snapshots" / f"{digest}.parquet"

    def pin(self, run_id: str) -> Path:
        """Which snapshot a run works on."""
        return self.root / "snapshots" / "runs" / run_id

    def teacher(self, version: str) -> Path:
        return self.root / "teachers" / version

    def teacher_source(self, version: str) -> Path:
        """Digests of the files that a teacher version came in."""
        return self.teacher(version) / "source.json"

    def registered(self, version: str) -> Path:
        """What the registry found out of a version, and what a person set of it."""
        return self.root / "teachers" / f"{version}.yaml"

    def teacher_weights(self, version: str) -> Path:
        return self.teacher(version) / "model"

    def adapted_teacher(self, version: str) -> Path:
        return self.teacher(version) / "adapted"

    def teacher_answers(self, version: str) -> Path:
        return self.teacher(version) / "answers"

    def soft_labels(self, version: str) -> Path:
        return self.teacher(version) / "soft_labels"

    def teacher_predictions(self, version: str) -> Path:
        """The teacher's answers on held-out pairs, adapted and zero-shot; kept between reports."""
        return self.teacher(version) / "predictions"

    def student(self, name: str, version: str) -> Path:
        return self.root / "students" / name / version / "current"

    def drift_report(self, name: str, version: str) -> Path:
        """What traffic differs by from what a student learned from."""
        return self.root / "students" / name / version / "drift"

    def ab_test(self, name: str, version: str) -> Path:
        """How a student fares on traffic beside what answers now."""
        return self.root / "students" / name / version / "ab_test"

    def leak_audit(self, name: str, version: str) -> Path:
        """What a student gives away of what it learned from."""
        return self.root / "students" / name / version / "leak_audit"

    def latency_profile(self, name: str, version: str) -> Path:
        """How fast a student's own server answers on this machine."""
        return self.root / "students" / name / version / "latency"

    def student_predictions(self, name: str, version: str) -> Path:
        return self.root / "students" / name / version / "predictions"

    def cache(self, name: str) -> Path:
        return self.root / "cache" / name

    def lock(self, *names: str) -> Path:
        return self.root / "locks" / f"{'.'.join(names)}.lock"

    def models(self, places: int) -> list[Path]:
        """Locks of those that run a model, one a place."""
        return [self.lock("gpu"), *(self.lock("gpu", str(n)) for n in range(2, places + 1))]

    @property
    def all_models(self) -> list[Path]:
        """Those of every place that there ever was."""
        return sorted({self.lock("gpu"), *(self.root / "locks").glob("gpu.*.lock")})

    def run(self, run_id: str) -> Path:
        """Held by whatever process works on a Dagster run: how a dead run is told."""
        return self.root / "locks" / "runs" / f"{run_id}.lock"

    def key(self, name: str) -> Path:
        """A secret key file; only its owner may read it."""
        return self.root / "keys" / f"{name}.key"

    @property
    def vault(self) -> Path:
        """Encrypted originals of the pseudonyms; apart from the tables, under a key of its own."""
        return self.root / "vault"

    @property
    def texts_to_mark(self) -> Path:
        """Texts that are not masked, for a person to mark what is personal in them."""
        return self.root / "review" / "pii_to_mark.jsonl"

    @property
    def reviews(self) -> Path:
        """Filled-in reviews, as CSV; people put them there, and no step writes or removes any."""
        return self.root / "review"

    @property
    def reveals(self) -> Path:
        """Who looked into the vault, when and why: a JSON line each time, never removed."""
        return self.root / "reveals.jsonl"

    @property
    def forgotten(self) -> Path:
        """Documents that must not come back, as keyed digests: a line each, never removed."""
        return self.root / "forgotten" / "documents.txt"

    @property
    def forgotten_requests(self) -> Path:
        """Requests of logs that must not come back, as keyed digests: a Parquet file."""
        return self.root / "forgotten" / "requests.parquet"

    @property
    def forgetting(self) -> Path:
        """There while something is being forgotten: whoever finds it goes on with that."""
        return self.root / "forgotten" / "unfinished"

    @property
    def erasures(self) -> Path:
        """Who had what forgotten, and when: a JSON line each time, never removed."""
        return self.root / "erasures.jsonl"

    @property
    def releases(self) -> Path:
        """Below it, by student, a folder a release, which never changes once it is there."""
        return self.root / "releases"

    def release(self, student: str, release: str) -> Path:
        return self.releases / student / release

    def release_learned_from(self, student: str, release: str) -> Path:
        """Which documents a release learned from; beside it, as no server needs to know."""
        return self.releases / student / f"{release}.learned_from.parquet"

    @property
    def release_history(self) -> Path:
        """Who moved which channel, when and why: a JSON line each time, never removed."""
        return self.releases / "history.jsonl"

    def channel(self, student: str, channel: str) -> Path:
        """What a server reads: a link to a release."""
        return self.root / "channels" / student / channel

    @property
    def alerts(self) -> Path:
        """Runs that failed or were overdue, where `automation.alerts.log` is on: a line each."""
        return self.root / "alerts.jsonl"

    @property
    def dagster_home(self) -> Path:
        """$DAGSTER_HOME when it is set, else `<data_dir>/dagster`."""
        named = os.environ.get("DAGSTER_HOME")
        return Path(named) if named else self.root / "dagster"
