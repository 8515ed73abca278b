"""Masking a mixed corpus, against Presidio's `AnalyzerEngine.analyze` a document at a time.

    python benchmarks/masking.py --texts 2000

Theirs is Presidio's engine with the very recognizers and models of ours: spaCy's own recognizer of
names without the parts that nothing here reads, and the token classifier, which reads the same
sentences. It is called for one text after the other, in this process, and remembers nothing. It
reads a sample of the texts, since its speed is that of each text; ours gets all of them, with the
start of its processes in its time (`finding` is in this process). The contenders take turns.

- `masking`: all that `masked_documents` does with a text: it is scanned until a scan of the masked
  text finds nothing more, so at least twice, and pseudonyms stand in it.
- `finding`: one scan of each text.

Both must find the same: what ours finds in the sample is compared with what theirs finds, corrected
alike for names in capitals (`detect.as_meant`). Texts with another find, or another score, are
counted. Targets: masking at least 4 times as many characters a second, no differences. The exit
code is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from mixed_corpus import Writer

from stillhouse.corpus.nlp import pipeline
from stillhouse.corpus.pii import reading
from stillhouse.corpus.pii.detect import Detector, as_meant, engine_of, lower_case_as_lemmas
from stillhouse.corpus.pii.functions import LANGUAGE
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.pool import clean_in_processes
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii.spans import Finding
from stillhouse.offline import go_offline
from stillhouse.storage.files import write_json

HERE = Path(__file__).resolve().parent
TARGET = 4.0
KEY = b"the key of a benchmark: not one!"
BLOCK = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--sample", type=int, default=200, help="texts that theirs reads")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, default=HERE / "results" / "masking.json")
    options = parser.parse_args()
    go_offline()
    texts = Writer().texts(options.texts)
    sample = random.Random(1).sample(texts, min(options.sample, len(texts)))
    settings = MaskSettings()
    theirs = Theirs(settings)
    theirs.read(sample[:5])  # the first call of a model costs more

    runs: list[dict[str, float]] = []
    for repetition in range(options.repetitions):
        contenders: dict[str, Callable[[], int]] = {
            "theirs": lambda: theirs.read(sample),
            "masking": lambda: masking(settings, texts, options.processes),
            "finding": lambda: finding(settings, texts),
        }
        order = list(contenders) if repetition % 2 == 0 else list(contenders)[::-1]
        speeds = {name: _speed(contenders[name]) for name in order}
        runs.append(speeds)
        shown = ", ".join(f"{name} {speed:,.0f}" for name, speed in sorted(speeds.items()))
        print(f"{repetition + 1}: characters a second: {shown}", file=sys.stderr, flush=True)

    ratios = {
        name: [round(run[name] / run["theirs"], 2) for run in runs]
        for name in ("masking", "finding")
    }
    differences = theirs.differences(Detector(settings), sample)
    results = {
        "texts": len(texts),
        "characters": sum(map(len, texts)),
        "distinct_texts": len(set(texts)),
        "sample": len(sample),
        "processes": options.processes,
        "load": [round(load, 1) for load in os.getloadavg()],
        "characters_a_second": {
            name: round(median(run[name] for run in runs)) for name in sorted(runs[0])
        },
        "ratios": ratios,
        "findings_in_sample": theirs.found,
        "texts_with_a_difference": differences,
        "met": {
            "masking": median(ratios["masking"]) >= TARGET,
            "the same findings": not differences,
        },
        "targets": {"masking": TARGET},
    }
    write_json(options.json, results)
    print(markdown(results))
    if not all(results["met"].values()):
        sys.exit(1)


def _speed(contender: Callable[[], int]) -> float:
    """Characters a second of a contender, which says how many it read."""
    started = time.perf_counter()
    characters = contender()
    return characters / (time.perf_counter() - started)


def masking(settings: MaskSettings, texts: list[str], processes: int) -> int:
    cleaned = clean_in_processes(Masker(settings, KEY), texts, processes)
    return sum(len(text) for text, _ in zip(texts, cleaned, strict=True))


def finding(settings: MaskSettings, texts: list[str]) -> int:
    detector = Detector(settings)
    for start in range(0, len(texts), BLOCK):
        for _ in detector.find(texts[start : start + BLOCK]):
            pass
    return sum(map(len, texts))


class Theirs:
    """Presidio's engine as it is called by itself."""

    def __init__(self, settings: MaskSettings) -> None:
        remembering = reading.lru_cache
        reading.lru_cache = _forgetful  # type: ignore[attr-defined]
        try:
            self.engine = engine_of(settings, list(settings.kinds()))
        finally:
            reading.lru_cache = remembering  # type: ignore[attr-defined]
        nlp = pipeline.__wrapped__(settings.nlp_model, "ner")  # ours decides otherwise
        lower_case_as_lemmas(nlp)
        self.engine.nlp_engine.nlp = {LANGUAGE: nlp}
        supported = self.engine.get_supported_entities(LANGUAGE)
        self.sought = [kind for kind in settings.kinds() if kind in supported]
        self.found = 0

    def read(self, texts: list[str]) -> int:
        for text in texts:
            self.analyze(text)
        return sum(map(len, texts))

    def analyze(self, text: str) -> list[Any]:
        return self.engine.analyze(text, LANGUAGE, entities=self.sought, score_threshold=0.0)

    def differences(self, detector: Detector, texts: list[str]) -> int:
        """In how many texts ours finds something else; counts also what theirs finds in all."""
        count = 0
        for text, ours in zip(texts, detector.find(texts), strict=True):
            names = detector.names_in_capitals([text]).get(0, [])
            found = as_meant(text, self.analyze(text), names)
            self.found += len(found)
            count += _as_set(found) != _as_set(ours)
        return count


def _forgetful(**_: Any) -> Callable[[Any], Any]:
    """In place of `lru_cache`."""
    return lambda read: read


def _as_set(findings: list[Finding]) -> set[tuple[str, int, int, float]]:
    return {(f.kind, f.start, f.end, round(f.score, 4)) for f in findings}


def markdown(results: dict[str, Any]) -> str:
    lines = ["| figure | target | median | lowest to highest |", "|---|--:|--:|--:|"]
    for name, ratios in results["ratios"].items():
        target = f">= {TARGET}" if name == "masking" else ""
        lines.append(
            f"| {name}, over theirs | {target} | {median(ratios):.2f} | "
            f"{min(ratios):.2f} to {max(ratios):.2f} |"
        )
    lines.append(
        f"| texts with another find, of {results['sample']} | 0 | "
        f"{results['texts_with_a_difference']} | |"
    )
    missed = [name for name, met in results["met"].items() if not met]
    return "\n".join([*lines, "", f"targets missed: {', '.join(missed) or 'none'}"])


if __name__ == "__main__":
    main()
