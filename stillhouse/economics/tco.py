"""The report: each student in use beside its teacher and beside APIs, by the user's prices."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stillhouse.economics.inputs import Input
from stillhouse.economics.page import NOTHING, blocks
from stillhouse.economics.reckoned import Reckoned, reckon
from stillhouse.facts import TcoReportFacts
from stillhouse.state import State
from stillhouse.storage.files import atomic_file, digest, write_json
from stillhouse.templates import environment

TABLE, CURVE, PAGE, REPORT = "costs.csv", "curve.csv", "tco.html", "tco.json"


def report(state: State, version: str | None, folder: Path) -> TcoReportFacts:
    """Write the page, its tables and its figures into `folder`; raises as `reckon` does."""
    found = reckon(state, version)
    values = [_json(one) for one in found]
    write_json(folder / REPORT, values)
    _write_csv(folder / TABLE, _costs(found))
    _write_csv(
        folder / CURVE, [{"student": one.student, **row} for one in found for row in one.curve]
    )
    with atomic_file(folder / PAGE) as temporary:
        temporary.write_text(render_html(found), encoding="utf-8")
    return TcoReportFacts(
        digest=digest(values),
        version=version,
        currency=found[0].currency if found else None,
        as_of=found[0].as_of if found else None,
        months={one.student: {w: c.month for w, c in one.costs.items()} for one in found},
        break_even={one.student: {b.other: b.volume for b in one.break_evens} for one in found},
        to_fill_in=sorted({n for one in found for names in one.lacking.values() for n in names}),
    )


def _json(one: Reckoned) -> dict[str, Any]:
    return {
        **{name: getattr(one, name) for name in ("student", "version", "currency", "as_of")},
        "inputs": {name: _known(i) for name, i in one.inputs.items() if i.value is not None},
        "costs": {way: {**asdict(c), "month": c.month} for way, c in one.costs.items()},
        "lacking": one.lacking,
        "break_even": [asdict(found) for found in one.break_evens],
        "reference": one.reference,
        "tornado": [asdict(found) for found in one.tornado],
    }


def _known(one: Input) -> dict[str, Any]:
    low, high = one.ends
    return {"value": one.value, "low": low, "high": high, "source": one.source}


def _costs(found: Sequence[Reckoned]) -> list[dict[str, Any]]:
    return [
        {"student": one.student, "way": way, "item": item, "a month": f"{money:.2f}"}
        for one in found
        for way, c in one.costs.items()
        for item, money in {**c.items, "all": c.month}.items()
    ]


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A field that a spreadsheet would run as a formula begins with a quote."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        for row in rows:
            writer.writerow({n: _cell(v) for n, v in row.items()})


def _cell(value: Any) -> Any:
    return (
        f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
    )


def render_html(found: Sequence[Reckoned]) -> str:
    """The page: it loads nothing and runs nothing."""
    from stillhouse.economics.plots import drawn
    from stillhouse.tasks.figures import svg_uri

    pages = environment("stillhouse.economics")
    return pages.get_template("tco.html.j2").render(
        students=[
            {"blocks": list(blocks(one)), "plots": [(t, svg_uri(f)) for t, f in drawn(one)]}
            for one in found
        ],
        nothing=NOTHING,
    )
