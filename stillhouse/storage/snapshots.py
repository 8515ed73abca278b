"""The dataset as it was when a run began: what the run works on, whatever is ingested meanwhile.

`dataset_splits` is kept once more under its digest, with its facts and with which files it came
from. A run notes the digest that it first reads. Snapshots that no unfinished run needs go with
the next dataset: what was deleted is not kept for long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.storage.files import atomic_file, read_json, write_json
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import exclusive
from stillhouse.storage.provenance import read_provenance

ASSET = "dataset_splits"


@dataclass(frozen=True)
class Snapshot:
    """A dataset that no longer changes: `path` holds its pairs with their splits, `lineage` the
    documents and files that they came from, by digest."""

    digest: str
    path: Path
    lineage: Path
    facts: dict[str, Any]


def write_snapshot(layout: Layout, facts: dict[str, Any], lineage: Callable[[Path], None]) -> None:
    """Keep the table `dataset_splits`, just made, under the digest in its `facts`.

    `lineage` writes the lineage table to the path that it is given.
    """
    import shutil

    digest = facts["digest"]
    with atomic_file(layout.snapshot(digest).with_suffix(".lineage.parquet")) as temporary:
        lineage(temporary)
    with atomic_file(layout.snapshot(digest)) as temporary:
        shutil.copyfile(layout.table(ASSET), temporary)
    write_json(layout.snapshot(digest).with_suffix(".json"), facts)


def current_snapshot(layout: Layout, run_id: str | None = None) -> Snapshot | None:
    """The snapshot that run `run_id` began with, noted at its first call; without a run, or
    before there is a dataset, the present one or None."""
    if run_id is None:
        return _present(layout)
    pin = layout.pin(run_id)
    with exclusive(layout.lock("snapshots"), "the dataset's snapshots"):
        noted = read_snapshot(layout, pin.read_text(encoding="utf-8")) if pin.exists() else None
        found = noted or _present(layout)
        if found is not None and noted is None:
            pin_run(layout, run_id, found.digest)
    return found


def _present(layout: Layout) -> Snapshot | None:
    digest = _digest(layout)
    return read_snapshot(layout, digest) if digest else None


def _digest(layout: Layout) -> str | None:
    """That of the present dataset; the first releases recorded none."""
    record = read_provenance(layout.table(ASSET).parent)
    return record.facts.get("digest") if record else None


def pin_run(layout: Layout, run_id: str, digest: str) -> None:
    """From now on, run `run_id` works on the snapshot `digest`."""
    with atomic_file(layout.pin(run_id)) as temporary:
        temporary.write_text(digest, encoding="utf-8")


def read_snapshot(layout: Layout, digest: str) -> Snapshot | None:
    path = layout.snapshot(digest)
    try:
        facts = read_json(path.with_suffix(".json"))
    except (OSError, ValueError):
        return None
    return Snapshot(digest, path, path.with_suffix(".lineage.parquet"), facts)


def prune_snapshots(layout: Layout, finished: Callable[[str], bool]) -> None:
    """Remove the notes of runs that have finished, and snapshots that nothing needs any more."""
    with exclusive(layout.lock("snapshots"), "the dataset's snapshots"):
        needed = {_digest(layout)}
        folder = layout.pin("any").parent
        for pin in folder.iterdir() if folder.exists() else ():
            if pin.name.startswith("."):
                continue
            if finished(pin.name):
                pin.unlink(missing_ok=True)
            else:
                needed.add(pin.read_text(encoding="utf-8"))
        for file in layout.snapshot("any").parent.glob("[!.]*.*"):
            if file.is_file() and file.name.split(".")[0] not in needed:
                file.unlink(missing_ok=True)
