"""The evaluation report: a self-contained page, a Markdown summary and a JSON file.

Sample texts, labels and names come from documents: they are untrusted, and escaped wherever shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.calibration import reliability_bins
from stillhouse.report import findings, plots
from stillhouse.report.results import (
    MISSING,
    Gate,
    ModelResult,
    ReportInput,
    TaskResult,
    display_name,
    number,
    plain,
    prose_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from markupsafe import Markup

__all__ = [
    "Gate",
    "ModelResult",
    "ReportInput",
    "TaskResult",
    "evaluation_json",
    "markdown_table",
    "render_html",
    "render_markdown",
]

MOST_CLASSES_IN_MARKDOWN = 12
MOST_SAMPLES_OF_A_KIND = 4


def evaluation_json(report: ReportInput) -> dict[str, Any]:
    """By model: {task: metrics}, "parameters" and "bytes"; beside them "about", "gates" and
    "comparisons" (exact McNemar tests by task)."""
    models = {
        model.name: {task: result.metrics.to_json() for task, result in model.tasks.items()}
        | {"parameters": model.parameters, "bytes": model.bytes}
        for model in report.results
    }
    return models | {
        "about": {
            "project": report.project,
            "student": report.student,
            "teacher_version": report.teacher_version,
            "created_at": report.created_at.isoformat(),
        },
        "gates": [gate._asdict() for gate in report.gates],
        "comparisons": {
            task: [
                {
                    "first": first,
                    "second": second,
                    "difference": test.difference,
                    "only_first": test.only_first,
                    "only_second": test.only_second,
                    "p_value": test.p_value,
                }
                for first, second, test in findings.comparisons(report, task)
            ]
            for task in report.tasks
        },
    }


def table_rows(results: Sequence[ModelResult], task: str) -> list[dict[str, str]]:
    """The table of models on one task, as text; the keys are the column titles."""
    return [
        {
            "Model": model.display_name,
            "Accuracy (95% CI)": "{:.3f} ({:.3f}–{:.3f})".format(m.accuracy, *m.accuracy_ci),
            "Macro-F1": f"{m.macro_f1:.3f}",
            "ECE": f"{m.ece:.3f}",
            "Parameters": human_count(model.parameters),
            "Size on disk": human_bytes(model.bytes),
        }
        for model in results
        if task in model.tasks
        for m in [model.tasks[task].metrics]
    ]


def markdown_table(results: Sequence[ModelResult]) -> str:
    """The table of models; with several tasks, its first column names the task."""
    tasks = list(dict.fromkeys(task for model in results for task in model.tasks))
    rows = [
        ({"Task": task} if len(tasks) > 1 else {}) | row
        for task in tasks
        for row in table_rows(results, task)
    ]
    return _markdown(list(rows[0]), [list(row.values()) for row in rows]) if rows else ""


def render_markdown(report: ReportInput, *, figures: bool = True) -> str:
    """The summary for the asset's metadata; `figures` embeds its plots as PNG data URIs."""
    _, said = findings.verdict(report.gates)
    parts = [f"**{_md(said)}.** {_md(findings.headline(report))}", markdown_table(report.results)]
    if report.gates:
        rows = [
            [g.name, "✓" if g.passed else "✗", number(g.value), number(g.limit), g.margin]
            for g in report.gates
        ]
        parts.append(_markdown(["Gate", "Passed", "Value", "Limit", "Margin"], rows))
    for task in report.tasks:
        parts += _markdown_task(report, task, figures=figures)
    if figures and report.learning_curve:
        curve = plots.png_uri(plots.learning_curve(report.learning_curve))
        parts += ["## Learning curve", f"![Learning curve]({curve})"]
    if report.provenance:
        rows = [[key, value] for key, value in flatten(report.provenance)]
        parts += ["## Provenance", _markdown(["Setting", "Value"], rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_task(report: ReportInput, task: str, *, figures: bool) -> Iterator[str]:
    yield f"## {_md(task)}"
    tests = findings.comparisons(report, task)
    yield "\n".join(f"- {_md(findings.reading(*compared))}" for compared in tests)
    shipped, labels = report.shipped, report.labels(task)
    if shipped and task in shipped.tasks:
        if len(labels) <= MOST_CLASSES_IN_MARKDOWN:
            yield f"### Confusion matrix: {_md(prose_name(shipped.name))}"
            counts = shipped.tasks[task].confusion.tolist()
            rows = [[label, *map(str, row)] for label, row in zip(labels, counts, strict=True)]
            yield _markdown(["Gold, by predicted", *labels], rows)
        elif errors := findings.confusions(report, task):
            yield f"### Most frequent confusions: {_md(prose_name(shipped.name))}"
            rows = [[e.gold, e.predicted, f"{e.count} of {e.support}"] for e in errors]
            yield _markdown(["Gold", "Predicted", "Examples"], rows)
    if figures:
        diagram = plots.png_uri(plots.reliability_diagram(_reliability(report.of_task(task))))
        yield f"### Reliability\n\n![Reliability diagram]({diagram})"
    if groups := findings.sample_groups(report, task):
        yield "### Sample predictions"
        samples = [sample for group in groups for sample in group.samples[:MOST_SAMPLES_OF_A_KIND]]
        header = ["Text", "Gold", *(p.model for p in samples[0].predictions)]
        yield _markdown(
            header,
            [
                [s.text, s.gold]
                + [
                    f"{'✓' if p.right else '✗'} {p.label} ({p.confidence:.2f})"
                    for p in s.predictions
                ]
                for s in samples
            ],
        )


def render_html(report: ReportInput) -> str:
    """The page: it loads nothing and runs nothing, so that it can be mailed, archived, printed."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("stillhouse.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "plain": plain, "breakable": breakable}
    outcome, said = findings.verdict(report.gates)
    curve = report.learning_curve
    return environment.get_template("report.html.j2").render(
        report=report,
        outcome=outcome,
        verdict=said,
        headline=findings.headline(report),
        shipped=report.shipped.display_name if report.shipped else "",
        in_prose=prose_name(report.shipped.name) if report.shipped else "",
        most_in_f1=plots.MOST_CLASSES_IN_F1,
        tasks=[_html_task(report, task) for task in report.tasks],
        curves=[plots.svg_uri(plots.learning_curve(curve, x)) for x in ("losses", "validation")]
        if curve
        else [],
        provenance=[
            (name, flatten(value) if isinstance(value, dict) else [("", text(value))])
            for name, value in report.provenance.items()
        ],
    )


def _html_task(report: ReportInput, task: str) -> dict[str, Any]:
    results, shipped = report.of_task(task), report.shipped
    judged = {name: x for name, x in results.items() if name in findings.COMPARED_MODELS}
    per_class = {name: (display_name(name), x.metrics.per_class) for name, x in judged.items()}
    own = shipped.tasks.get(task) if shipped else None
    labels = report.labels(task)
    return {
        "name": task,
        "n": len(next(iter(results.values())).gold),
        "rows": table_rows(report.results, task),
        "readings": [findings.reading(*x) for x in findings.comparisons(report, task)],
        "calibration": findings.calibration_reading(shipped.name, own) if shipped and own else "",
        "confusion": plots.svg_uri(plots.confusion_matrix(own.confusion, labels)) if own else "",
        "wide": len(labels) > plots.MOST_ANNOTATED_CLASSES,
        "confusions": findings.confusions(report, task),
        "reliability": [
            (display_name(name), plots.svg_uri(plots.reliability_diagram({name: panel})))
            for name, panel in _reliability(results).items()
        ],
        "per_class": plots.svg_uri(plots.per_class_f1(per_class)) if per_class else "",
        "class_scores": per_class,
        "labels": labels,
        "samples": findings.sample_groups(report, task),
    }


def _reliability(results: Mapping[str, TaskResult]) -> dict[str, Any]:
    return {
        name: (display_name(name), reliability_bins(x.probabilities, x.gold), x.metrics.ece)
        for name, x in results.items()
    }


def flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (dotted name, text)."""
    if not isinstance(value, dict):
        return [(prefix, text(value))]
    join = f"{prefix}." if prefix else ""
    return [pair for key, inner in value.items() for pair in flatten(inner, f"{join}{key}")]


def text(value: Any) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(x) for x in value) or MISSING
    return str(value)


def human_count(value: int | None) -> str:
    """1,234 -> "1.2 k"; three significant digits at most."""
    return _scaled(value, ["", " k", " M", " B"])


def human_bytes(value: int | None) -> str:
    """Decimal units, as disks are sold."""
    return _scaled(value, [" B", " kB", " MB", " GB", " TB"])


def _scaled(value: int | None, units: Sequence[str]) -> str:
    if value is None:
        return MISSING
    scaled, step = float(value), 0
    while scaled >= 999.5 and step < len(units) - 1:
        scaled, step = scaled / 1000, step + 1
    digits = 0 if step == 0 or scaled >= 99.95 else 1
    return f"{scaled:.{digits}f}{units[step]}"


def breakable(value: str) -> Markup:
    """Escaped HTML in which a long label may break after its _ - / and dots."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[-_/.])", plain(value)))


def _md(value: str) -> str:
    """Text as literal Markdown: no HTML, link, image, autolink, emphasis or table cell in it."""
    escaped = re.sub(r"([\\`*\[\]|~!#$@])", r"\\\1", plain(value))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)
    return re.sub(r"(?i)(https?|ftp|mailto|xmpp)(:)|(www)(\.)", r"\1\3\\\2\4", escaped)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[_md(cell) for cell in row] for row in [header, *rows]]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    )
