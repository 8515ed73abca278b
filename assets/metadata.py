"""What the UI shows of an artefact: its facts, rendered when it reports, in the order people read.

First what a person wants (plot, table or verdict), then where it came from, then all figures.
Figures are rounded; nothing here is stored with the artefact. Of what documents say, only masked
text is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from stillhouse.assets import measured
from stillhouse.assets.origin import origin
from stillhouse.state import Artefact, State
from stillhouse.storage.provenance import Provenance
from stillhouse.storage.query import query
from stillhouse.wording import human_bytes, human_count

Shown = dict[str, Any]

PREVIEW_WIDTH = 160
# Facts that are for machines, or shown in another form.
HIDDEN = {
    *("digest", "digests", "history", "headers", "figures", "gates", "scores", "tests"),
    *("manifest", "held_by", "grown", "remedies", "rules", "levels", "limits", "tasks", "why"),
}


def describe(
    state: State, artefact: Artefact, record: Provenance, *, reused: bool
) -> dict[str, Any]:
    """Metadata of a materialization."""
    facts = state.facts(artefact)
    # What a person wants to see: plot, table or verdict.
    shown: Shown = PREVIEWS.get(artefact.step.name, lambda *_: {})(facts, state, artefact)
    # Dagster lists a run that made nothing as the newest materialization: say so.
    since = f"unchanged since {record.created_at}: nothing was made"
    shown |= {"result": since if reused else "made now"} | origin(state, artefact, record)
    shown |= {
        name: _value(value)
        for name, value in vars(facts).items()
        if name not in {*HIDDEN, *shown} and value is not None
    }
    shown |= {
        "digest": str(facts.digest),
        "path": dg.MetadataValue.path(measured.relative(state.folder(artefact), state)),
        "made_at": record.created_at,
        "reused": dg.MetadataValue.bool(reused),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _value(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return dg.MetadataValue.json(value) if isinstance(value, dict | list) else value


def _preview(sql: str, table: Path, **others: Path) -> Any:
    """A few rows of a masked table. Their text is untrusted: it can't leave its cell."""
    from stillhouse.report.markdown import markdown_table

    found = query(sql, t=table, **others)
    rows = [
        ["" if cell is None else str(cell) for cell in row.values()] for row in found.to_pylist()
    ]
    return dg.MetadataValue.md(markdown_table(found.column_names, rows, width=PREVIEW_WIDTH))


def _counts(header: tuple[str, str], *counts: dict[str, Any]) -> Any:
    """What was counted, by name; the most comes first."""
    from stillhouse.report.markdown import markdown_table

    rows = [list(row) for found in counts for row in sorted(found.items(), key=lambda x: -x[1])]
    return dg.MetadataValue.md(markdown_table(list(header), rows or [["none", 0]], width=80))


def _files(facts: Any, _: State, __: Artefact) -> Shown:
    return {"by_source": _counts(("source", "files"), facts.by_source)}


def _parsed(facts: Any, _: State, __: Artefact) -> Shown:
    said = f"{facts.documents:,} documents; {facts.quarantined:,} could not be read"
    counts = _counts(("in quarantine", "files and records"), facts.quarantined_by_category)
    return {"verdict": said, "quarantined_by_category": counts}


def _cleansed(facts: Any, _: State, __: Artefact) -> Shown:
    left = {f"document left out: {why}": count for why, count in facts.left_out.items()}
    return {"taken_out": _counts(("why", "passages"), facts.removals, left)}


def _levels(facts: Any, _: State, __: Artefact) -> Shown:
    return {"by_level": _counts(("level", "documents"), facts.by_level)}


def _teacher(facts: Any, _: State, __: Artefact) -> Shown:
    size = f"{human_count(facts.parameters)} parameters, {human_bytes(facts.bytes)}"
    return {"verdict": f"{facts.license}, allowed by {facts.license_allowed_by}; {size}"}


def _answers(facts: Any, _: State, __: Artefact) -> Shown:
    return {
        "verdict": f"{facts.kept:,} of {facts.asked:,} answers are learned from",
        "dropped": _counts(("task: reason", "dropped"), facts.dropped),
    }


def _labels(facts: Any, _: State, __: Artefact) -> Shown:
    pairs = facts.pairs_labelled + facts.pairs_reused
    how = ", ".join(f"{task}: {kind}" for task, kind in facts.encodings.items()) or "none asked for"
    return {"verdict": f"{pairs:,} pairs, {human_bytes(facts.bytes)} ({how})"}


def _quantized(facts: Any, state: State, artefact: Artefact) -> Shown:
    made = state.record(artefact.beside("checkpoint"))
    before = f" of {human_bytes(made.facts['bytes'])}" if made else ""
    size = f"{human_bytes(facts.bytes)}{before}, {facts.bits} bits"
    warned = f"; {len(facts.warnings)} warnings" if facts.warnings else ""
    return {"verdict": size + warned}


def _masked(_: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.corpus.document_confidentiality import NAME, levels_up_to

    allowed = levels_up_to(state.project.privacy.train_up_to)
    sql = f"""SELECT title, text FROM t JOIN levels USING (doc_id)
              WHERE len(entities) > 0 AND level IN ({allowed}) LIMIT 5"""  # noqa: S608 - our names
    levels = state.layout.table(NAME)
    return {"sample": _preview(sql, state.layout.table(artefact.step.name), levels=levels)}


def _quality(_: Any, state: State, artefact: Artefact) -> Shown:
    sql = """SELECT kind, spans, covered AS masked, touched AS partly, findings AS found,
                    round(recall, 3) AS recall, round(recall_low, 3) AS low,
                    round(recall_high, 3) AS high, round(precision, 3) AS precision,
                    round(f2, 3) AS f2, round(strict_recall, 3) AS strict_recall,
                    round(strict_precision, 3) AS strict_precision, round(strict_f2, 3) AS strict_f2
             FROM t ORDER BY kind <> 'all', spans DESC, kind LIMIT 60"""
    return {"by_kind": _preview(sql, state.layout.table(artefact.step.name))}


def _risk(_: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.corpus.reidentification_risk import BY_K, COVERS, WORST_COMBINATIONS

    table = state.layout.table(artefact.step.name)
    return {
        "covers": COVERS,
        "worst_combinations": _preview(WORST_COMBINATIONS, table),
        "by_k": _preview(BY_K, table),
    }


def _unique(_: Any, state: State, artefact: Artefact) -> Shown:
    table = state.layout.table(artefact.step.name)
    sql = "SELECT copies, source, text FROM t ORDER BY copies DESC, doc_id LIMIT 5"
    return {"most_copied": _preview(sql, table)}


def _pairs(_: Any, state: State, artefact: Artefact) -> Shown:
    sql = "SELECT task, label, source, input FROM t ORDER BY pair_id LIMIT 8"
    return {"sample": _preview(sql, state.layout.table(artefact.step.name))}


def _splits(_: Any, state: State, artefact: Artefact) -> Shown:
    sql = """SELECT task, label, count(*) FILTER (split = 'train') AS train,
                    count(*) FILTER (split = 'validation') AS validation,
                    count(*) FILTER (split = 'test') AS test
             FROM t GROUP BY ALL ORDER BY task, label LIMIT 100"""
    return {"answers": _preview(sql, state.layout.table(artefact.step.name))}


def _review(_: Any, state: State, artefact: Artefact) -> Shown:
    sql = "SELECT task, label, answer, source, input FROM t ORDER BY task, label LIMIT 60"
    return {"sample": _preview(sql, state.layout.table(artefact.step.name))}


def _trained(facts: Any, _: State, __: Artefact) -> Shown:
    from stillhouse.report.pictures import learning_curve_markdown

    chance = f" (the best constant answer: {facts.chance:.3f})" if hasattr(facts, "chance") else ""
    shown: Shown = {"verdict": f"score {facts.score:.3f} on validation data{chance}"}
    if curve := learning_curve_markdown(facts.history):
        shown["learning_curve"] = dg.MetadataValue.md(curve)
    shown |= {f"validation_{k}": round(v, 4) for k, v in facts.scores.items()}
    return shown | {"epochs": len(facts.history)}


def _traffic(facts: Any, _: State, __: Artefact) -> Shown:
    if not facts.logs:
        return {"traffic": "no log is named in `traffic.logs`, or none is there"}
    return {"traffic": _counts(("task", "requests"), facts.by_task)}


PREVIEWS: dict[str, Callable[[Any, State, Artefact], Shown]] = {
    "source_files": _files,
    "parsed_documents": _parsed,
    "cleansed_documents": _cleansed,
    "document_confidentiality": _levels,
    "masked_documents": _masked,
    "pii_quality": _quality,
    "unique_documents": _unique,
    "reidentification_risk": _risk,
    "instruction_pairs": _pairs,
    "dataset_splits": _splits,
    "review_sample": _review,
    "teacher_model": _teacher,
    "teacher_answers": _answers,
    "soft_labels": _labels,
    "quantized_model": _quantized,
    "adapted_teacher": _trained,
    "checkpoint": _trained,
    "evaluation_report": measured.report,
    "latency_profile": measured.latency,
    "leak_audit": measured.leaks,
    "release": measured.release,
    "version_comparison": measured.comparison,
    "tco_report": measured.tco,
    "teacher_comparison": measured.candidates,
    "production_traffic": _traffic,
    "drift_report": measured.drift,
    "ab_test": measured.ab_test,
}
