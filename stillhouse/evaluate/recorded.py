"""What was recorded when a student and all that it was made of were made: for who audits it, and
for who makes it again.

Counts, names of the project file, digests and settings: nothing that a document says, and no
document's or file's name. Of the dataset it counts in the snapshot that the student learned from;
of the corpus it says what the steps' last records say, and which of them are newer than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stillhouse.config.corpus import CONFIDENTIALITY_ORDER
from stillhouse.models.described import public_name
from stillhouse.models.licence_terms import student_duties
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.files import digest_if_there
from stillhouse.storage.provenance import Provenance
from stillhouse.storage.query import query

MODELS = ("teacher_model", "adapted_teacher", "teacher_answers", "soft_labels")
STUDENT = (*MODELS, "checkpoint", "quantized_model")
CORPUS = (
    *("source_files", "parsed_documents", "cleansed_documents", "document_confidentiality"),
    *("masked_documents", "unique_documents", "instruction_pairs"),
)
# The figures that say how well personal data is masked, and how well documents stay apart from who
# wrote them; all others are in the records.
QUALITY = (
    *("texts", "spans", "masked", "partly_masked", "recall", "recall_low", "recall_high"),
    *("precision", "recall_by_kind", "not_looked_for"),
)
RISK = (
    *("documents", "unique_documents", "unique_share", "below_5_share", "k", "l", "t"),
    "unique_share_without_words",
)
REVIEWED = ("read", "accepted", "rejected", "corrected", "reviewers", "reject_rate")
REVIEWED_CI = ("reject_rate_low", "reject_rate_high")


def recorded(
    state: State, report: Artefact, *, texts_per_second: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """What evaluation.json says as `audit` and `engineering`; JSON values.

    `report` is the artefact `evaluation_report` of the student, `texts_per_second` by model how
    fast it answered. What a step has not recorded is left out.
    """
    records = {name: state.record(report.beside(name)) for name in STEPS}
    made = {name: record for name, record in records.items() if record is not None}
    return {
        "audit": _audit(state, report, made),
        "engineering": _engineering(made) | {"texts_per_second": dict(texts_per_second or {})},
    }


def _audit(state: State, report: Artefact, made: Mapping[str, Provenance]) -> dict[str, Any]:
    def facts(step: str) -> dict[str, Any]:
        return made[step].facts if step in made else {}

    parsed, unique, masked = map(
        facts, ("parsed_documents", "unique_documents", "masked_documents")
    )
    unread, left_out = facts("source_files").get("unread"), facts("cleansed_documents")
    return {
        "sources": _sources(state, facts("source_files").get("by_source", {})),
        "unread": unread or {},
        "documents": parsed.get("documents"),
        "quarantine": parsed.get("quarantined_by_category", {}),
        "left_out": left_out.get("left_out", {}),
        "duplicates": _only(unique, "exact_duplicates", "near_duplicates", "unique", "withheld"),
        "masked": {
            **_only(masked, "documents", "documents_with_entities", "entities"),
            "by_kind": masked.get("entities_by_kind", {}),
            "kinds": _kinds_masked(state),
        },
        "pii_quality": _only(facts("pii_quality"), *QUALITY) | _precision(state, made),
        "reidentification_risk": _only(facts("reidentification_risk"), *RISK),
        "confidentiality": {
            "documents": facts("document_confidentiality").get("by_level", {}),
            "train_up_to": state.project.privacy.train_up_to,
            "pairs": _pairs(state, "confidentiality"),
        },
        "reviews": {
            what: _only(facts(step), *REVIEWED, *REVIEWED_CI)
            for what, step in (("labels", "review_sample"), ("answers", "teacher_answers"))
            if facts(step).get("read")
        },
        "licence": _licence(made, str(report.version)),
        "dataset": _dataset(state, made),
        "models": {n: r.facts["digest"] for n, r in made.items() if n in STUDENT},
        "project_file": {
            "name": state.project.file.name,
            "now": digest_if_there(state.project.file),
            "of": {n: r.project_file for n, r in made.items() if n in STUDENT and r.project_file},
        },
        "runs": {
            name: record.run_id
            for name, record in made.items()
            if record.run_id and name in (*CORPUS, "dataset_splits", *STUDENT)
        },
        "newer": _newer(state, made),
    }


def _kinds_masked(state: State) -> int:
    """How many kinds of personal data the project has masked: of 0, nothing is."""
    from stillhouse.corpus.masked import mask_settings

    return len(mask_settings(state.project.privacy, state.project.file.parent).kinds())


def _only(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _sources(state: State, files: Mapping[str, int]) -> list[dict[str, Any]]:
    """Each source of the project file, with how many files it has, and with the documents and pairs
    of it that the dataset came from."""
    snapshot = state.snapshot
    documents: dict[str, int] = {}
    if snapshot is not None and snapshot.lineage.is_file():
        documents = _counts(snapshot.lineage, "source", "DISTINCT doc_id")
    pairs = _pairs(state, "source")
    return [
        {
            "name": source.name,
            "kind": source.kind,
            "files": files.get(source.name),
            "documents": documents.get(source.name, 0),
            "pairs": pairs.get(source.name, {}),
        }
        for source in state.project.sources
    ]


def _pairs(state: State, column: str) -> dict[str, dict[str, int]]:
    """Pairs of the snapshot by a column and by split; a level of confidentiality by its place."""
    if state.snapshot is None:
        return {}
    sql = f"SELECT {column} AS name, split, count(*) AS n FROM t GROUP BY ALL ORDER BY ALL"  # noqa: S608
    found: dict[str, dict[str, int]] = {}
    for row in query(sql, t=state.snapshot.path).to_pylist():
        found.setdefault(str(row["name"]), {})[str(row["split"])] = row["n"]
    if column == "confidentiality":
        return {level: found[level] for level in CONFIDENTIALITY_ORDER if level in found}
    return found


def _counts(table: Path, column: str, what: str) -> dict[str, int]:
    sql = f"SELECT {column} AS name, count({what}) AS n FROM t GROUP BY ALL ORDER BY ALL"  # noqa: S608
    return {str(row["name"]): row["n"] for row in query(sql, t=table).to_pylist()}


def _precision(state: State, made: Mapping[str, Provenance]) -> dict[str, float]:
    """The interval of masking's precision, which the step's table holds."""
    table = state.layout.table("pii_quality")
    if "pii_quality" not in made or not table.is_file():
        return {}
    sql = "SELECT precision_low, precision_high FROM t WHERE kind = 'all'"
    rows = query(sql, t=table).to_pylist()
    return {name: value for row in rows for name, value in row.items() if value is not None}


def _licence(made: Mapping[str, Provenance], version: str) -> dict[str, Any]:
    teacher, student = made.get("teacher_model"), made.get("checkpoint")
    if teacher is None:
        return {}
    own = str(teacher.facts["license"])
    under = (student.license if student else None) or own
    return {
        "teacher": own,
        "student": under,
        "model": public_name(teacher.facts["model"], version),
        "allowed_by": teacher.facts["license_allowed_by"],
        "stated": teacher.facts["license_stated"],
        "duties": list(student_duties(under)),
    }


def _dataset(state: State, made: Mapping[str, Provenance]) -> dict[str, Any]:
    """Digest and sizes of what the student learned from, and where its answers are from."""
    trained, snapshot = made.get("checkpoint"), state.snapshot
    splits = snapshot.facts if snapshot is not None else {}
    return {
        "digest": trained.dataset if trained else None,
        **_only(splits, "train", "validation", "test", "unlabelled", "digests"),
        "by_origin": _pairs(state, "origin"),
    }


def _newer(state: State, made: Mapping[str, Provenance]) -> list[str]:
    """Steps of the corpus that were made anew since the dataset: their counts are of today."""
    found: list[str] = []
    below: dict[str, dict[str, str]] = {}
    splits = made.get("dataset_splits")
    if splits is None:
        return found
    pinned = state.snapshot.digest if state.snapshot else None
    if pinned is not None and splits.facts.get("digest") != pinned:
        return [name for name in CORPUS if name in made]
    below["dataset_splits"] = splits.recipe.inputs
    for name in reversed(CORPUS):
        if name not in made:
            continue
        seen = {inputs[name] for inputs in below.values() if name in inputs}
        if (seen and made[name].facts.get("digest") not in seen) or _above(name, found):
            found.append(name)
        below[name] = made[name].recipe.inputs
    return [name for name in CORPUS if name in found]


def _above(name: str, newer: list[str]) -> bool:
    """Whether something that was made anew was made of it."""
    return any(name in STEPS[step].reads for step in newer)


def _engineering(made: Mapping[str, Provenance]) -> dict[str, Any]:
    quantized = made.get("quantized_model")
    libraries = made["checkpoint"].libraries if "checkpoint" in made else {}
    return {
        "steps": [row for name in STUDENT if name in made for row in _step(name, made[name])],
        "training": {
            name: trained
            for name in ("adapted_teacher", "checkpoint")
            if name in made and (trained := _training(made[name].facts))
        },
        "quantization": _only(
            quantized.facts if quantized else {},
            *("bits", "group_size", "quantized_layers", "calibration_tokens", "warnings"),
        ),
        "libraries": libraries,
    }


def _step(name: str, record: Provenance) -> Iterator[dict[str, Any]]:
    """How long it took, and on what; of models, how large what it made is."""
    yield {
        "step": name,
        "seconds": record.seconds,
        "peaks": record.peaks,
        "machine": record.machine,
        "made_at": record.created_at,
        **_only(record.facts, "parameters", "bytes"),
    }


def _training(facts: Mapping[str, Any]) -> dict[str, Any]:
    """`seconds` are those of all epochs, each with its look at the validation split."""
    seconds = sum(epoch.get("seconds", 0.0) for epoch in facts.get("history", []))
    tokens = facts.get("tokens_per_epoch", 0) * len(facts.get("history", []))
    if not seconds:
        return {}
    return {
        "epochs": len(facts["history"]),
        "seconds": round(seconds, 1),
        "tokens": tokens or None,
        "tokens_per_second": round(tokens / seconds, 1) if tokens else None,
        "computed_in": facts.get("computed_in") or None,
    }
