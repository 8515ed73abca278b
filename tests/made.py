"""The least project file, and a project whose every artefact has a record, made in milliseconds."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from stillhouse.state import State
from stillhouse.storage.provenance import Provenance
from stillhouse.storage.snapshots import current_snapshot

# The least that a project file says.
MINIMAL = """\
name: demo
sources:
  - {name: tickets, path: t.jsonl, kind: records, fields: {text: body, label: queue}}
tasks:
  - {name: routing, kind: classification, sources: [tickets]}
teachers:
  - {version: t-1, model: models/t, license: MIT}
students:
  - {name: router, tasks: [routing]}
"""


def facts_of(kind: type, **values: Any) -> Any:
    """Facts of a step with plausible values; `values` replace some."""
    hints = typing.get_type_hints(kind)
    found = {f.name: values.get(f.name, _plain(hints[f.name])) for f in dataclasses.fields(kind)}
    return kind(**found)


def _plain(hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (dict, list):
        return origin()
    if origin in (typing.Union, types.UnionType):
        return None
    return {str: "x", int: 1, float: 0.5, bool: False}[hint]


def make_all(state: State, outside: dict[str, str] | None = None) -> State:
    """Write the record of every artefact, as if its step had just made it."""
    layout = state.layout
    for artefact in state.artefacts():
        values: dict[str, Any] = {"digest": f"digest of {artefact}"}
        if artefact.step.name == "dataset_splits":
            values["digests"] = {
                s: f"digest of {s}" for s in ("train", "validation", "test", "unlabelled")
            }
        if artefact.step.name == "soft_labels":
            students = state.project.students
            values["digests"] = {str(s.distillation.temperature): "soft" for s in students}
        facts = facts_of(artefact.step.facts, **values)
        snapshot = current_snapshot(layout)
        record = Provenance.now(
            state.recipe(artefact), facts, dataset=snapshot.digest if snapshot else None
        )
        folder = state.folder(artefact)
        folder.mkdir(parents=True, exist_ok=True)
        record.write(folder)
    return state
