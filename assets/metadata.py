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

from stillhouse.assets.latency_shown import latency
from stillhouse.assets.origin import origin
from stillhouse.pages import manifest_url, report_url
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
        "path": dg.MetadataValue.path(_relative(state.folder(artefact), state)),
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


def _report(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.report.assemble import PAGE
    from stillhouse.report.summary import markdown_of, said_of

    folder = state.folder(artefact)
    return {
        "verdict": said_of(folder),
        "summary": dg.MetadataValue.md(markdown_of(folder)),
        "report": dg.MetadataValue.url(report_url(str(artefact.student), str(artefact.version))),
        "report_file": dg.MetadataValue.path(_relative(folder / PAGE, state)),
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


def _tco(_: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.economics.page import markdown
    from stillhouse.economics.plots import drawn
    from stillhouse.economics.reckoned import reckon
    from stillhouse.economics.tco import PAGE
    from stillhouse.moved import version_in_use
    from stillhouse.tasks.figures import png_uri

    found = reckon(state, version_in_use(state))
    pictures = [f"![{title}]({png_uri(figure)})" for one in found for title, figure in drawn(one)]
    return {
        "costs": dg.MetadataValue.md(markdown(found)),
        "plots": dg.MetadataValue.md("\n\n".join(pictures)) if pictures else None,
        "report": dg.MetadataValue.path(_relative(state.folder(artefact) / PAGE, state)),
    }


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

    held = facts.held_by
    shown: Shown = {
        "verdict": f"released as {facts.release}" if facts.release else f"held: {', '.join(held)}"
    }
    if facts.release:
        url = manifest_url(str(artefact.student), facts.release)
        shown["manifest"] = dg.MetadataValue.url(url)
        file = _relative(state.layout.root / facts.manifest, state)
        shown["manifest_file"] = dg.MetadataValue.path(file)
    return shown | {"gates": dg.MetadataValue.md(gates_table(facts.gates))}


def _leaks(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.audit.page import PAGE
    from stillhouse.audit.shown import shown

    folder = state.folder(artefact)
    found = {name: dg.MetadataValue.md(text) for name, text in shown(facts, folder).items()}
    page = dg.MetadataValue.path(_relative(folder / PAGE, state))
    return {**found, "page": page, **{n: round(v, 4) for n, v in facts.figures.items()}}


def _traffic(facts: Any, _: State, __: Artefact) -> Shown:
    if not facts.logs:
        return {"traffic": "no log is named in `traffic.logs`, or none is there"}
    return {"traffic": _counts(("task", "requests"), facts.by_task)}


def _drift(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.monitor.shown import shown

    folder, traffic = state.folder(artefact), state.layout.table("production_traffic")
    found = shown(facts, state.project.drift, folder, traffic)
    return {name: dg.MetadataValue.md(text) for name, text in found.items()}


def _ab_test(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.monitor.ab.page import PAGE
    from stillhouse.monitor.ab.said import shown

    found = shown(facts, state.project.ab_test)
    page = dg.MetadataValue.path(_relative(state.folder(artefact) / PAGE, state))
    return {**{name: dg.MetadataValue.md(text) for name, text in found.items()}, "page": page}


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
    "evaluation_report": _report,
    "latency_profile": latency,
    "leak_audit": _leaks,
    "release": _release,
    "version_comparison": _comparison,
    "tco_report": _tco,
    "teacher_comparison": _candidates,
    "production_traffic": _traffic,
    "drift_report": _drift,
    "ab_test": _ab_test,
}
