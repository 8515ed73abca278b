"""Parsing files of several kinds, against unstructured's own `partition`; and a corpus's memory.

    python benchmarks/parsing.py --pages 40
    python benchmarks/parsing.py --memory 2000

Theirs is `partition(filename, strategy="fast")` with all that it does by itself, and the spaCy
model of ours, as it would download one. Ours is `parse_file`. Each has a process of its own, reads
the same files one after the other, and the two take turns: seconds are those of the processor, so
that other programs count less. Both must say the same: what differs in its words (of PDFs: in its
words whatever their order, as page headers are set apart) is counted.

With `--memory`, a project of so many pages of all kinds goes through `parse_sources` instead, in
processes that are limited and replaced, and the memory of all processes together is watched.

Targets: plain text, Markdown and HTML at least 5 times as fast, PDFs no slower, no differences; the
corpus within 2,048 MB. The exit code is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from measuring import NO_MODEL
from parsing_files import KINDS, write_files

from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.offline import go_offline
from stillhouse.storage.files import read_json, write_json

HERE = Path(__file__).resolve().parent
MODEL = MaskSettings().nlp_model
TARGETS = {".txt": 5.0, ".md": 5.0, ".html": 5.0, ".pdf": 1.0}
PEAK_MB = 2048
WORD = re.compile(r"\w+")

PROJECT = (
    """\
name: pages
sources:
  - {name: manuals, path: files, kind: documents}
"""
    + NO_MODEL % "manuals"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pages", type=int, default=40, help="of each kind")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--memory", type=int, default=0, metavar="PAGES")
    parser.add_argument("--work", type=Path, default=HERE / "build" / "parsing")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "parsing.json")
    parser.add_argument(
        "--as", dest="contender", choices=["ours", "theirs"], help=argparse.SUPPRESS
    )
    parser.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    go_offline()
    if options.contender:
        answer(options.contender)
    elif options.project:
        parse_project(options.project)
    else:
        results = read_json(options.json) if options.json.exists() else {"met": {}}
        if options.memory:
            results["memory"] = measure_memory(options.work / "corpus", options.memory)
            results["met"]["memory"] = results["memory"]["peak_mb"] <= PEAK_MB
        else:
            results |= measure_speed(options)
            results["met"] |= met(results["kinds"])
        write_json(options.json, results)
        print(markdown(results))
        if not all(results["met"].values()):
            sys.exit(1)


# --- speed ---


def measure_speed(options: argparse.Namespace) -> dict[str, Any]:
    shutil.rmtree(options.work / "files", ignore_errors=True)
    files = write_files(options.work / "files", options.pages)
    contenders = {name: Contender(name) for name in ("ours", "theirs")}
    for contender in contenders.values():  # models load, and the first call of each kind costs more
        for kind in KINDS:
            contender.read(next(file for file in files if file.suffix == kind))
    kinds: dict[str, Any] = {kind: {"ratios": [], "differences": 0} for kind in KINDS}
    for repetition in range(options.repetitions):
        for kind in KINDS:
            seconds = dict.fromkeys(contenders, 0.0)
            for file in (file for file in files if file.suffix == kind):
                order = list(contenders) if repetition % 2 == 0 else list(contenders)[::-1]
                answers = {name: contenders[name].read(file) for name in order}
                for name, said in answers.items():
                    seconds[name] += said["seconds"]
                if repetition == 0:
                    kinds[kind]["differences"] += differ(kind, *answers.values())
            kinds[kind]["ratios"].append(round(seconds["theirs"] / seconds["ours"], 2))
            kinds[kind]["seconds"] = {name: round(value, 2) for name, value in seconds.items()}
            print(repetition + 1, kind, kinds[kind], file=sys.stderr, flush=True)
    for contender in contenders.values():
        contender.end()
    for kind, found in kinds.items():
        found["files"] = sum(file.suffix == kind for file in files)
        found["ratio"] = median(found["ratios"])
    return {
        "kinds": kinds,
        "pages": options.pages,
        "load": [round(load, 1) for load in os.getloadavg()],
    }


class Contender:
    """A process that reads files."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, __file__, "--as", name]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self, file: Path) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        print(file, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def answer(name: str) -> None:
    """Read each file that is named on the standard input; say what it says, and the seconds."""
    read = theirs() if name == "theirs" else ours()
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        started = time.process_time()
        text = read(Path(line.strip()))
        seconds = time.process_time() - started
        print(json.dumps({"seconds": seconds, "text": text}), file=out, flush=True)


def ours() -> Any:
    from stillhouse.corpus.parse.files import parse_file

    def read(file: Path) -> str:
        parsed = parse_file(file, nlp_model=MODEL)
        furniture = parsed.furniture if file.suffix == ".pdf" else []
        return "\n\n".join([parsed.text, *(element.text for element in furniture)])

    return read


def theirs() -> Any:
    import spacy
    from unstructured.nlp import tokenize
    from unstructured.partition.auto import partition

    tokenize._load_spacy_model = lambda: spacy.load(MODEL, exclude=tokenize._SPACY_EXCLUDE)

    def read(file: Path) -> str:
        elements = partition(str(file), strategy="fast")
        return "\n\n".join(element.text for element in elements)

    return read


def differ(kind: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
    words = [WORD.findall(said["text"]) for said in (one, other)]
    if kind == ".pdf":
        words = [sorted(found) for found in words]
    return words[0] != words[1]


# --- memory ---


def measure_memory(folder: Path, pages: int) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    files = write_files(folder / "files", pages // len(KINDS))
    project = folder / "stillhouse.yaml"
    project.write_text(PROJECT)
    started = time.monotonic()
    process = psutil.Popen([sys.executable, __file__, "--project", str(project)])
    peak = largest = most = 0
    while process.poll() is None:
        held = [memory for child in _family(process) if (memory := _rss(child))]
        peak, largest = max(peak, sum(held)), max([largest, *held])
        most = max(most, len(held))
        time.sleep(0.2)
    if process.returncode:
        sys.exit("parse_sources failed")
    return {
        "pages": pages,
        "files": len(files),
        "seconds": round(time.monotonic() - started, 1),
        "processes": most,
        "peak_mb": peak >> 20,
        "largest_process_mb": largest >> 20,
    }


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def parse_project(file: Path) -> None:
    from stillhouse.config.project import load_project
    from stillhouse.corpus.parsed import parse_sources
    from stillhouse.corpus.sources import scan_sources
    from stillhouse.storage.layout import Layout

    project = load_project(file)
    layout = Layout(project.data_path)
    scan_sources(project, layout)
    facts = parse_sources(project, layout)
    if facts.quarantined_by_category:
        sys.exit(f"not all was read: {facts.quarantined_by_category}")


# --- figures ---


def met(kinds: dict[str, Any]) -> dict[str, bool]:
    fast = {kind: found["ratio"] >= TARGETS[kind] for kind, found in kinds.items()}
    same = {f"{kind}: the same text": not found["differences"] for kind, found in kinds.items()}
    return fast | same


def markdown(results: dict[str, Any]) -> str:
    lines = []
    if "kinds" in results:
        lines += ["| kind | files | target | theirs / ours | lowest to highest | other text |"]
        lines += ["|---|--:|--:|--:|--:|--:|"]
        for kind, found in results["kinds"].items():
            lines.append(
                f"| {kind} | {found['files']} | >= {TARGETS[kind]:g} | {found['ratio']:.2f} | "
                f"{min(found['ratios']):.2f} to {max(found['ratios']):.2f} | "
                f"{found['differences']} |"
            )
    if memory := results.get("memory"):
        lines += ["", "| pages | files | s | processes | peak MB, target <= 2,048 | largest |"]
        lines += ["|--:|--:|--:|--:|--:|--:|", "| " + " | ".join(map(str, memory.values())) + " |"]
    missed = [name for name, kept in results["met"].items() if not kept]
    return "\n".join([*lines, "", f"targets missed: {', '.join(missed) or 'none'}"])


if __name__ == "__main__":
    main()
