"""What the UI shows of what was measured of models: verdict, tables, plots, and the page of it."""

from pathlib import Path
from typing import Any

import dagster as dg

from stillhouse.pages import manifest_url, page_url, report_url
from stillhouse.state import Artefact, State

Shown = dict[str, Any]


def relative(path: Path, state: State) -> str:
    root = state.project.root
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def page_at(file: Path, state: State) -> Shown:
    """A link that `stillhouse dev` serves, and the path for those who look elsewhere."""
    return {
        "page": dg.MetadataValue.url(page_url(state.layout, file)),
        "page_file": dg.MetadataValue.path(relative(file, state)),
    }


def report(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.report.assemble import PAGE
    from stillhouse.report.summary import markdown_of, said_of

    folder = state.folder(artefact)
    return {
        "verdict": said_of(folder),
        "summary": dg.MetadataValue.md(markdown_of(folder)),
        "report": dg.MetadataValue.url(report_url(str(artefact.student), str(artefact.version))),
        "report_file": dg.MetadataValue.path(relative(folder / PAGE, state)),
        # Numbers that the UI plots over time and over versions.
        **{name: round(value, 4) for name, value in facts.figures.items()},
    }


def latency(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.load.page import PAGE
    from stillhouse.load.plots import drawn
    from stillhouse.load.shown import LEVELS, LIMITS, level_rows, limit_rows, said
    from stillhouse.report.markdown import literal, markdown_table
    from stillhouse.tasks.figures import png_uri

    verdict = f"**{facts.verdict}**: {literal(said(facts))}"
    found: dict[str, Any] = {"verdict": dg.MetadataValue.md(verdict)}
    if not facts.levels:
        return found
    pictures = [f"![{alt}]({png_uri(draw())})" for alt, draw in drawn(facts.levels)]
    limits = [cells for _, cells in limit_rows(facts.limits)]
    tables = {
        "loads_milliseconds": markdown_table(LEVELS, level_rows(facts.levels)),
        "limits_asked": markdown_table(LIMITS, limits) if limits else None,
        "curves": "\n\n".join(pictures),
    }
    found |= {name: dg.MetadataValue.md(text) for name, text in tables.items() if text}
    figures = {name: round(value, 4) for name, value in facts.figures.items()}
    return {**found, **page_at(state.folder(artefact) / PAGE, state), **figures}


def leaks(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.audit.page import PAGE
    from stillhouse.audit.shown import shown

    folder = state.folder(artefact)
    found = {name: dg.MetadataValue.md(text) for name, text in shown(facts, folder).items()}
    figures = {name: round(value, 4) for name, value in facts.figures.items()}
    return {**found, **page_at(folder / PAGE, state), **figures}


def release(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.release.card import gates_table

    held = facts.held_by
    shown: Shown = {
        "verdict": f"released as {facts.release}" if facts.release else f"held: {', '.join(held)}"
    }
    if facts.release:
        url = manifest_url(str(artefact.student), facts.release)
        shown["manifest"] = dg.MetadataValue.url(url)
        file = relative(state.layout.root / facts.manifest, state)
        shown["manifest_file"] = dg.MetadataValue.path(file)
    return shown | {"gates": dg.MetadataValue.md(gates_table(facts.gates))}


def comparison(facts: Any, state: State, artefact: Artefact) -> Shown:
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


def tco(_: Any, state: State, artefact: Artefact) -> Shown:
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
        **page_at(state.folder(artefact) / PAGE, state),
    }


def candidates(_: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.selection.rows import read_candidates
    from stillhouse.selection.shown import plot_of, refused_table, table_of

    found = read_candidates(state.layout.table(artefact.step.name))
    shown = {
        "candidates_compared": table_of(found),
        "not_asked": refused_table(found),
        "plot": plot_of(found),
    }
    return {name: dg.MetadataValue.md(text) for name, text in shown.items() if text}


def drift(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.monitor.shown import shown

    folder, traffic = state.folder(artefact), state.layout.table("production_traffic")
    found = shown(facts, state.project.drift, folder, traffic)
    return {name: dg.MetadataValue.md(text) for name, text in found.items()}


def ab_test(facts: Any, state: State, artefact: Artefact) -> Shown:
    from stillhouse.monitor.ab.page import PAGE
    from stillhouse.monitor.ab.said import shown

    found = shown(facts, state.project.ab_test)
    page = page_at(state.folder(artefact) / PAGE, state)
    return {name: dg.MetadataValue.md(text) for name, text in found.items()} | page
