"""From files to splits: seconds and peak memory of each step, by number of records.

    python benchmarks/corpus_scale.py --records 10000 100000 1000000
    python benchmarks/corpus_scale.py --records 10000 --masking

Short records (8 to 40 words, one in ten of which is a near-duplicate of another, in 20 classes) in
one JSON Lines file. Every step is a process of its own: seconds from the call of its function to
its end, processor time (which other programs on the machine disturb less), peak resident memory of
the process (DuckDB and libraries included), and the peak of the largest of its worker processes,
where it has any. Later steps read what earlier ones wrote; a size starts with an empty folder.

Masking is bound by the recognizer of names, whose time grows with the words and nothing else (about
a second for a hundred records). It is left out unless asked for: the texts hold no names, and go on
as they are.

Targets: `unique_documents` at 1,000,000 in 4,096 MB; seconds of every step at 1,000,000 at most
12 times those at 100,000. The exit code is 1 when one that could be measured is missed. Results
of several runs gather in one JSON file, by number of records.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import NO_MODEL, peak_rss_mb

from stillhouse.config.project import Project, load_project
from stillhouse.offline import go_offline
from stillhouse.storage.files import read_json, write_json
from stillhouse.storage.layout import Layout

HERE = Path(__file__).resolve().parent
GROWTH, PEAK_MB = 12, 4096
SMALL, LARGE = 100_000, 1_000_000
BLOCK = 10_000
VOCABULARY = 30_000

PROJECT = (
    """\
name: scale
sources:
  - name: tickets
    path: tickets.jsonl
    kind: records
    fields: {text: body, id: number, label: queue, created: date}
"""
    + NO_MODEL % "tickets"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, SMALL])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--masking", action="store_true", help="mask for real: hours at a million")
    parser.add_argument("--work", type=Path, default=HERE / "build" / "corpus_scale")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "corpus_scale.json")
    parser.add_argument("--stage", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    go_offline()
    if options.stage:
        stage(options)
        return

    results = read_json(options.json) if options.json.exists() else {"records": {}}
    for count in options.records:
        folder = options.work / str(count)
        if options.steps == list(STEPS):
            shutil.rmtree(folder, ignore_errors=True)
            write_records(folder, count)
        found = results["records"].setdefault(str(count), {})
        for step in options.steps:
            found[step] = measure(step, folder / "stillhouse.yaml", options.masking)
            print(f"{count:>9,} {step}: {found[step]}", file=sys.stderr, flush=True)
            results |= headline(results["records"])
            write_json(options.json, results)
    print(markdown(results))
    if not all(results["met"].values()):
        sys.exit(1)


def write_records(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    (folder / "stillhouse.yaml").write_text(PROJECT)
    syllables = [c + v for c in "bcdfghklmnprstvz" for v in "aeiou"]
    rng = np.random.default_rng(1)
    words = np.array(
        ["".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(VOCABULARY)],
        dtype=object,
    )
    with (folder / "tickets.jsonl").open("w", encoding="utf-8") as file:
        for start in range(0, count, BLOCK):
            texts: list[list[str]] = []
            for number in range(start, min(start + BLOCK, count)):
                if texts and rng.random() < 0.1:
                    text = [*texts[rng.integers(len(texts))], "again"]
                else:
                    size = rng.integers(8, 40)
                    text = list(words[(rng.random(size) ** 2 * VOCABULARY).astype(int)])
                texts.append(text)
                record = {
                    "number": number,
                    "body": " ".join(text),
                    "queue": f"queue {rng.integers(20)}",
                    "date": f"2026-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}",
                }
                file.write(json.dumps(record) + "\n")


def measure(step: str, project: Path, masking: bool) -> dict[str, Any]:
    command = [sys.executable, __file__, "--stage", step, "--project", str(project)]
    command += ["--masking"] if masking else []
    load = os.getloadavg()[0]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1]) | {"load_before": round(load, 1)}


# --- one step, in its own process ---


def stage(options: argparse.Namespace) -> None:
    project = load_project(options.project)
    run = STEPS[options.stage]
    if options.stage == "masked_documents" and not options.masking:
        run = unmasked
    clock, processor = time.perf_counter(), cpu_seconds()
    run(project, Layout(project.data_path))
    figures = {
        "seconds": round(time.perf_counter() - clock, 2),
        "cpu_seconds": round(cpu_seconds() - processor, 2),
        "peak_rss_mb": peak_rss_mb(),
        "largest_worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }
    print(json.dumps(figures))


def cpu_seconds() -> float:
    """Processor time of this process and of the workers that have ended."""
    return sum(os.times()[:4])


def source_files(project: Project, layout: Layout) -> None:
    from stillhouse.corpus.sources import scan_sources

    scan_sources(project, layout)


def parsed_documents(project: Project, layout: Layout) -> None:
    from stillhouse.corpus.parsed import parse_sources

    parse_sources(project, layout)


def cleansed_documents(project: Project, layout: Layout) -> None:
    from stillhouse.corpus.cleansed import cleanse_documents

    cleanse_documents(project.cleansing, layout)


def masked_documents(project: Project, layout: Layout) -> None:
    from stillhouse.corpus.masked import mask_documents

    mask_documents(project.privacy, layout)


def unmasked(_: Project, layout: Layout) -> None:
    """The table of masked documents, brought up to date as if nothing had been found in them."""
    from stillhouse.corpus.masked import masked_schema
    from stillhouse.storage.tables import Finished, Inputs, update_table

    said = ["doc_id", "content_id", "title", "text", "columns"]
    nothing: dict[str, Any] = {"version": "none", "entities": [], "residual": []}
    update_table(
        layout.table("masked_documents"),
        layout.staging("masked_documents"),
        masked_schema(),
        key="content_id",
        version="none",
        inputs=Inputs(layout.table("cleansed_documents"), said, "status = 'kept'"),
        compute=lambda rows: (Finished(1, [{**row, **nothing}]) for row in rows),
        description="Not masking",
        batch_rows=8192,
    )


def document_confidentiality(project: Project, layout: Layout) -> None:
    from stillhouse.corpus.document_confidentiality import find_confidentiality

    find_confidentiality(project, layout)


def unique_documents(project: Project, layout: Layout) -> None:
    from stillhouse.corpus.unique import unique_documents

    unique_documents(project.dedup, layout, project.privacy.train_up_to)


def instruction_pairs(project: Project, layout: Layout) -> None:
    from stillhouse.dataset.pairs import build_pairs

    build_pairs(project, layout)


def dataset_splits(project: Project, layout: Layout) -> None:
    from stillhouse.dataset.splits import split_pairs

    split_pairs(project, layout)


STEPS: dict[str, Callable[[Project, Layout], None]] = {
    function.__name__: function
    for function in (
        source_files,
        parsed_documents,
        cleansed_documents,
        document_confidentiality,
        masked_documents,
        unique_documents,
        instruction_pairs,
        dataset_splits,
    )
}


# --- figures ---


def headline(runs: dict[str, Any]) -> dict[str, Any]:
    small, large = (runs.get(str(count), {}) for count in (SMALL, LARGE))
    both = [step for step in STEPS if step in small and step in large]

    def ratios(figure: str) -> dict[str, float]:
        return {s: round(large[s][figure] / max(small[s][figure], 0.01), 1) for s in both}

    growth = ratios("seconds")
    met = {f"growth of {step}": value <= GROWTH for step, value in growth.items()}
    if "unique_documents" in large:
        met["peak of unique_documents"] = large["unique_documents"]["peak_rss_mb"] <= PEAK_MB
    return {
        "growth": growth,
        "cpu_growth": ratios("cpu_seconds"),
        "met": met,
        "targets": {"growth": GROWTH, "peak_mb": PEAK_MB},
    }


def markdown(results: dict[str, Any]) -> str:
    counts = sorted(results["records"], key=int)
    lines = [
        "| step |" + "".join(f" {int(c):,}: s | MB |" for c in counts) + " growth | of CPU time |",
        "|---|" + "--:|--:|" * len(counts) + "--:|--:|",
    ]
    for step in STEPS:
        cells = ""
        for count in counts:
            figures = results["records"][count].get(step)
            if figures is None:
                cells += " | |"
                continue
            peak = max(figures["peak_rss_mb"], figures["largest_worker_mb"])
            cells += f" {figures['seconds']:,.1f} | {peak:,} |"
        ratios = f"{results['growth'].get(step, '')} | {results['cpu_growth'].get(step, '')}"
        lines.append(f"| {step} |{cells} {ratios} |")
    missed = [name for name, met in results["met"].items() if not met]
    return "\n".join([*lines, "", f"targets missed: {', '.join(missed) or 'none'}"])


if __name__ == "__main__":
    main()
