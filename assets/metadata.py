"""What the UI shows of an artefact: its facts, rendered when it reports, in the order people read.

First what happened and the headline figures, then previews and plots, then where it came from.
Figures are rounded; nothing here is stored with the artefact. Of what documents say, only masked
text is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from stillhouse.corpus.document_confidentiality import NAME, levels_up_to
from stillhouse.corpus.reidentification_risk import BY_K, COVERS, WORST_COMBINATIONS
from stillhouse.state import Artefact, State
from stillhouse.storage.provenance import Provenance
from stillhouse.storage.query import query

Shown = dict[str, Any]

PREVIEW_WIDTH = 160
# Facts that are for machines, or shown in another form.
HIDDEN = {
    *("digest", "digests", "history", "headers", "figures", "gates", "scores", "tests"),
    *("manifest", "held_by", "grown", "remedies"),
}


def describe(
    state: State, artefact: Artefact, record: Provenance, *, reused: bool
) -> dict[str, Any]:
    """Metadata of a materialization."""
    facts = state.facts(artefact)
    shown: Shown = {
        # Dagster lists a run that made nothing as the newest materialization: say so first.
        "result": f"unchanged since {record.created_at}: nothing was made" if reused else "made now"
    }
    if artefact.version:
        shown["teacher_version"] = artefact.version
    shown |= PREVIEWS.get(artefact.step.name, lambda *_: {})(facts, state, artefact)
    shown |= {
        name: _value(value)
        for name, value in vars(facts).items()
        if name not in HIDDEN and value is not None
    }
    if record.dataset:
        shown["dataset"] = record.dataset
    if record.license:
        shown["license"] = record.license
    folder = state.folder(artefact)
    shown |= {
        "digest": str(facts.digest),
        "path": dg.MetadataValue.path(_relative(folder, state)),
        "made_at": record.created_at,
        "reused": dg.MetadataValue.bool(reused),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _value(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return dg.MetadataValue.json(value) if isinstance(value, dict | list) else value


def _relative(path: Path, state: State) -> str:
    root = state.project.root
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _preview(sql: str, table: Path, **others: Path) -> Any:
    """A few rows of a masked table. Their text is untrusted: it can't leave its cell."""
    from stillhouse.report.markdown import markdown_table

    found = query(sql, t=table, **others)
    rows = [
        ["" if cell is None else str(cell) for cell in row.values()] for row in found.to_pylist()
    ]
    return dg.MetadataValue.md(markdown_table(found.column_names, rows, width=PREVIEW_WIDTH))


def _masked(_: Any, state: State, artefact: Artefact) -> Shown:
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

    curve = learning_curve_markdown(facts.history)
    shown: Shown = {f"validation_{k}": round(v, 4) for k, v in facts.scores.items()}
    shown["epochs"] = len(facts.history)
    if curve:
        shown["learning_curve"] = dg.MetadataValue.md(curve)
    return shown


def _report(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.report.assemble import PAGE
    from stillhouse.report.summary import markdown_of

    folder = state.folder(artefact)
    return {
        "summary": dg.MetadataValue.md(markdown_of(folder)),
        "report": dg.MetadataValue.path(_relative(folder / PAGE, state)),
        # Numbers that the UI plots over time and over versions.
        **{name: round(value, 4) for name, value in facts.figures.items()},
    }


def _comparison(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.history.shown import leaderboard, plot_of, said, slices_of, table_of
    from stillhouse.storage.tables import read_table

    rows = read_table(state.layout.table(artefact.step.name)).to_pylist()
    gates = {}
    for report, record in state.gathered("evaluation_report"):
        missed = [gate["name"] for gate in record.facts["gates"] if not gate["passed"]]
        kept = len(record.facts["gates"]) - len(missed)
        gates[str(report.student), str(report.version)] = (kept, missed)
    found = {
        "grown_gaps": said(facts.remedies) or "none",
        "plot": plot_of(rows),
        "versions_compared": table_of(rows),
        "leaderboard": leaderboard(rows, gates),
        "fallen_most": slices_of(rows),
    }
    return {name: dg.MetadataValue.md(text) for name, text in found.items() if text}


def _candidates(_: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.selection.rows import read_candidates
    from stillhouse.selection.shown import plot_of, refused_table, table_of

    found = read_candidates(state.layout.table(artefact.step.name))
    shown = {
        "candidates_compared": table_of(found),
        "not_asked": refused_table(found),
        "plot": plot_of(found),
    }
    return {name: dg.MetadataValue.md(text) for name, text in shown.items() if text}


def _release(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.release.card import gates_table
    from stillhouse.report.assemble import PAGE

    root = state.layout.root
    held = facts.held_by
    shown = {
        "verdict": f"released as {facts.release}" if facts.release else f"held: {', '.join(held)}",
        "gates": dg.MetadataValue.md(gates_table(facts.gates)),
        "report": dg.MetadataValue.path(_relative(state.folder(artefact).parent / PAGE, state)),
    }
    if facts.manifest:
        shown["manifest"] = dg.MetadataValue.path(_relative(root / facts.manifest, state))
    return shown


def _traffic(facts: Any, _: State, __: Artefact) -> Shown:
    return {} if facts.logs else {"traffic": "no log is named in `traffic.logs`, or none is there"}


def _drift(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.monitor.shown import shown

    folder, traffic = state.folder(artefact), state.layout.table("production_traffic")
    found = shown(facts, state.project.drift, folder, traffic)
    return {name: dg.MetadataValue.md(text) for name, text in found.items()}


PREVIEWS: dict[str, Callable[[Any, State, Artefact], Shown]] = {
    "masked_documents": _masked,
    "pii_quality": _quality,
    "unique_documents": _unique,
    "reidentification_risk": _risk,
    "instruction_pairs": _pairs,
    "dataset_splits": _splits,
    "review_sample": _review,
    "adapted_teacher": _trained,
    "checkpoint": _trained,
    "evaluation_report": _report,
    "release": _release,
    "version_comparison": _comparison,
    "teacher_comparison": _candidates,
    "production_traffic": _traffic,
    "drift_report": _drift,
}
