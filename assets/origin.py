"""Where an artefact comes from, said on every page alike: teacher, dataset, licence and run."""

from __future__ import annotations

from typing import Any

import dagster as dg

from stillhouse.pages import report_url
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.provenance import Provenance

# The rows that stand on every page, in their order.
ROWS = ("teacher_version", "dataset", "license", "made_by_run")

NO_TEACHER = "none: every teacher version learns from it"
NO_MODEL = "none: it holds no model"
NOT_IN_DATASET = "none: the dataset is made of it"
READS_NO_DATASET = "none: it is made before anything is learned"
NO_RUN = "none that is known"
TRAFFIC = "none: it is what users asked"
CANDIDATES = "none: every candidate is asked"
ASKED = "none: nothing learns; candidates are asked pairs of the newest validation split"
THEIR_OWN = "that of each report"


def origin(state: State, artefact: Artefact, record: Provenance) -> dict[str, Any]:
    """The same four rows for every artefact, in words where there is nothing to name; and links to
    what they name."""
    found: dict[str, Any] = {
        "teacher_version": artefact.version or _versions(artefact, record),
        "dataset": _dataset(state, artefact, record),
        "license": _license(state, artefact, record) or NO_MODEL,
        "made_by_run": dg.MetadataValue.dagster_run(record.run_id) if record.run_id else NO_RUN,
    }
    return found | _links(state, artefact)


def _versions(artefact: Artefact, record: Provenance) -> str:
    """Of what is no teacher version's own."""
    if artefact.step.gathers:
        one = record.facts.get("version")
        return ", ".join(record.facts.get("versions", [one] if one else [])) or "none yet"
    if artefact.step.on_demand:
        return CANDIDATES
    return TRAFFIC if artefact.step.group == "monitoring" else NO_TEACHER


def _dataset(state: State, artefact: Artefact, record: Provenance) -> str:
    """The digest of the dataset that was learned from, or is compared with."""
    if record.dataset:
        return record.dataset
    if artefact.step.name == "dataset_splits":
        return str(record.facts["digest"])
    if artefact.step.scope == "student":  # a release reads none: its student did
        made = state.record(artefact.beside("checkpoint"))
        return (made and made.dataset) or READS_NO_DATASET
    if artefact.version:
        return READS_NO_DATASET
    if artefact.step.gathers:
        return THEIR_OWN
    if artefact.step.on_demand:
        return ASKED
    if artefact.step.group == "monitoring":
        return TRAFFIC
    return NOT_IN_DATASET


def _license(state: State, artefact: Artefact, record: Provenance) -> str | None:
    """What it was made under; a result that records none is of a teacher that is under one."""
    if record.license or artefact.version is None:
        return record.license
    teacher = state.record(artefact.beside("teacher_model"))
    return teacher.license if teacher else None


def _links(state: State, artefact: Artefact) -> dict[str, Any]:
    if artefact.version is None:
        return {}
    found: dict[str, Any] = {}
    if (teacher := state.record(artefact.beside("teacher_model"))) is not None:
        found["teacher_model"] = str(teacher.facts["model"])
    if artefact.step.name != "teacher_model":
        found["teacher_page"] = dg.MetadataValue.asset(dg.AssetKey(["teacher_model"]))
        found["dataset_page"] = dg.MetadataValue.asset(dg.AssetKey(["dataset_splits"]))
    if artefact.student and artefact.step is not STEPS["evaluation_report"]:
        found["report"] = dg.MetadataValue.url(report_url(artefact.student, artefact.version))
    return found
