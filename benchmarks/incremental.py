"""What one more record, or one more document in a hundred, costs after a first run.

    python benchmarks/incremental.py --records 200000 --documents 20000
    python benchmarks/incremental.py --records 20000 --documents 2000 --masking

Records: short ones (as corpus_scale.py's) in one JSON Lines file, which then gains a line.
Documents: Markdown files of the same texts, to which one in a hundred is added. The steps from
source files to unique documents run twice, each in a process of its own, in one run of this script;
the ratio is the processor time of the second run over that of the first, summed over the steps.

The recognizers, which take most of a first run, find nothing unless asked to look, as in
corpus_scale.py: with them the ratios are far smaller. Target: at most 0.03 each, with masking.
Results gather in one JSON file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from corpus_scale import HERE, STEPS, measure, write_records
from measuring import NO_MODEL

from stillhouse.storage.files import read_json, write_json

TARGET = 0.03
MASKED = ", masked"
UNTIL_UNIQUE = list(STEPS)[: list(STEPS).index("unique_documents") + 1]

DOCUMENTS = (
    """\
name: scale
sources:
  - {name: notes, path: notes, kind: documents, label_from: folder}
"""
    + NO_MODEL % "notes"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--records", type=int, default=200_000, help="0 leaves them out")
    parser.add_argument("--documents", type=int, default=20_000, help="0 leaves them out")
    parser.add_argument("--masking", action="store_true", help="mask for real: hours")
    parser.add_argument("--work", type=Path, default=HERE / "build" / "incremental")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "incremental.json")
    options = parser.parse_args()

    results = read_json(options.json) if options.json.exists() else {}
    for kind, count in (("records", options.records), ("documents", options.documents)):
        if not count:
            continue
        folder = options.work / f"{kind}-{count}"
        shutil.rmtree(folder, ignore_errors=True)
        grow = begin_records(folder, count) if kind == "records" else begin_documents(folder, count)
        first = through(folder, options.masking)
        grow()
        second = through(folder, options.masking)
        ratio = round(total(second) / total(first), 4)
        name = f"{count:,} {kind}" + (MASKED if options.masking else "")
        results[name] = {"first": first, "second": second, "ratio": ratio, "met": ratio <= TARGET}
        write_json(options.json, results)
    print(markdown(results))
    if not all(found["met"] for name, found in results.items() if name.endswith(MASKED)):
        sys.exit(1)


def begin_records(folder: Path, count: int) -> Any:
    """Write the records; returns what adds another one."""
    write_records(folder, count)

    def grow() -> None:
        with (folder / "tickets.jsonl").open("a", encoding="utf-8") as file:
            record = {"number": count, "body": "one ticket more, of something else", "queue": "q"}
            file.write(json.dumps(record | {"date": "2026-12-31"}) + "\n")

    return grow


def begin_documents(folder: Path, count: int) -> Any:
    """Write the documents; returns what adds one in a hundred."""
    more = max(1, count // 100)
    write_records(folder, count + more)
    (folder / "stillhouse.yaml").write_text(DOCUMENTS)
    with (folder / "tickets.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]

    def write(records: list[dict[str, Any]]) -> None:
        for record in records:
            target = folder / "notes" / record["queue"] / f"{record['number']:06}.md"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(f"# Note {record['number']}\n\n{record['body']}\n")

    write(texts[:count])
    return lambda: write(texts[count:])


def through(folder: Path, masking: bool) -> dict[str, Any]:
    found = {}
    for step in UNTIL_UNIQUE:
        found[step] = measure(step, folder / "stillhouse.yaml", masking)
        print(f"{folder.name} {step}: {found[step]}", file=sys.stderr, flush=True)
    return found


def total(steps: dict[str, Any]) -> float:
    return sum(step["cpu_seconds"] for step in steps.values())


def markdown(results: dict[str, Any]) -> str:
    lines = [
        "| what grows | first: CPU s | second: CPU s | ratio (at most 0.03) |",
        "|---|--:|--:|--:|",
    ]
    for name, found in results.items():
        first, second = (f"{total(found[run]):,.1f}" for run in ("first", "second"))
        lines.append(f"| {name} | {first} | {second} | {found['ratio']:.4f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
