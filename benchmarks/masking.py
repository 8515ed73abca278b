"""Masking a company's texts, against Presidio's `AnalyzerEngine.analyze` a document at a time.

    python benchmarks/masking.py --texts 2000

Theirs is Presidio's engine with the very recognizers and models of ours, as one calls it: with the
whole spaCy model as it is shipped, and with the token classifier, which reads all of the same
sentences, on as many threads as onnxruntime takes (`--threads`). It is called for one text after
the other, in this process, and remembers nothing. `lean` is the same without the parts of spaCy's
model that nothing reads, and without the sentences in which no find is possible: what ours would be
without memory, batches and processes. Both read a sample of the texts, since their speed is that of
each text; ours gets all of them, with the start of its processes in its time (`finding` is in this
process). The contenders take turns.

- `masking`: all that `masked_documents` does with a text: it is scanned until a scan of the masked
  text finds nothing more, so at least twice, and pseudonyms stand in it.
- `finding`: one scan of each text.

Both must find the same: what ours finds in the sample is compared with what theirs finds, corrected
alike for names in capitals (`detect.as_meant`). Texts with another find, or another score, are
counted; with the whole model of spaCy a few are expected, since its parser ends sentences, over
which no name reaches. Targets: masking at least 4 times as many characters a second as theirs, on
mixed texts, and no differences to `lean`. The exit code is 1 when one is missed.

Beside characters a second, those a second of the processor (of all processes) are told: on a busy
machine they say more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from mixed_corpus import Writer

from stillhouse.corpus.nlp import PARTS, pipeline
from stillhouse.corpus.pii import model_recognizer, numbers, reading
from stillhouse.corpus.pii.detect import Detector, as_meant, engine_of, lower_case_as_lemmas
from stillhouse.corpus.pii.functions import LANGUAGE
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.pool import clean_in_processes
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii.spans import Finding
from stillhouse.corpus.pii.token_classifier import TokenClassifier, folder_of
from stillhouse.offline import go_offline
from stillhouse.storage.files import write_json

HERE = Path(__file__).resolve().parent
TICKETS = HERE.parent / "examples" / "helpdesk" / "tickets.jsonl"
TARGET = 4.0
KEY = b"the key of a benchmark: not one!"
BLOCK = 256


@dataclass(frozen=True)
class Speed:
    """Characters a second, and a second of the processor, of all processes together."""

    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--texts", type=int, default=2000, help="mixed texts")
    parser.add_argument("--sample", type=int, default=200, help="texts that theirs reads")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--threads", type=int, default=0, help="of their classifier; 0: its choice")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "masking.json")
    options = parser.parse_args()
    go_offline()
    settings = MaskSettings()
    peers = {
        "theirs": Theirs(settings, options.threads),
        "lean": Theirs(settings, options.threads, lean=True),
    }
    tickets = [json.loads(line)["body"] for line in TICKETS.read_text("utf-8").splitlines()]
    corpora = {
        name: _measured(peers, settings, texts, options)
        for name, texts in (("mixed", Writer().texts(options.texts)), ("tickets", tickets))
    }
    mixed = corpora["mixed"]
    results = {
        "processes": options.processes,
        "threads_of_their_classifier": options.threads,
        "load": [round(load, 1) for load in os.getloadavg()],
        "corpora": corpora,
        "met": {
            "masking": median(mixed["ratios"]["masking over theirs"]) >= TARGET,
            "the same findings": not any(
                corpus["texts_with_a_difference"]["lean"] for corpus in corpora.values()
            ),
        },
        "targets": {"masking": TARGET},
    }
    write_json(options.json, results)
    print(markdown(results))
    if not all(results["met"].values()):
        sys.exit(1)


def _measured(
    peers: dict[str, Theirs], settings: MaskSettings, texts: list[str], options: Any
) -> dict[str, Any]:
    sample = random.Random(1).sample(texts, min(options.sample, len(texts)))
    contenders: dict[str, Callable[[], int]] = {
        **{name: partial(peer.read, sample) for name, peer in peers.items()},
        "masking": lambda: masking(settings, texts, options.processes),
        "finding": lambda: finding(settings, texts),
    }
    for peer in peers.values():
        peer.read(sample[:5])  # the first call of a model costs more
    runs: list[dict[str, Speed]] = []
    for repetition in range(options.repetitions):
        order = list(contenders) if repetition % 2 == 0 else list(contenders)[::-1]
        runs.append({name: _speed(contenders[name]) for name in order})
        shown = ", ".join(f"{n} {s.wall:,.0f} ({s.processor:,.0f})" for n, s in runs[-1].items())
        print(f"characters a second (of the processor): {shown}", file=sys.stderr, flush=True)
    pairs = [(ours, peer) for ours in ("masking", "finding") for peer in peers]
    detector = Detector(settings)
    return {
        "texts": len(texts),
        "characters": sum(map(len, texts)),
        "distinct_texts": len(set(texts)),
        "sample": len(sample),
        "characters_a_second": {
            name: asdict(
                Speed(
                    round(median(run[name].wall for run in runs)),
                    round(median(run[name].processor for run in runs)),
                )
            )
            for name in contenders
        },
        "ratios": {
            f"{ours} over {peer}": [round(run[ours].wall / run[peer].wall, 2) for run in runs]
            for ours, peer in pairs
        },
        "ratios_of_the_processor": {
            f"{ours} over {peer}": [
                round(run[ours].processor / run[peer].processor, 2) for run in runs
            ]
            for ours, peer in pairs
        },
        "findings_in_sample": sum(map(len, detector.find(sample))),
        "texts_with_a_difference": {
            name: peer.differences(detector, sample) for name, peer in peers.items()
        },
    }


def _speed(contender: Callable[[], int]) -> Speed:
    """That of a contender, which says how many characters it read."""
    started, used = time.perf_counter(), _processor_seconds()
    characters = contender()
    seconds = time.perf_counter() - started
    return Speed(characters / seconds, characters / (_processor_seconds() - used))


def _processor_seconds() -> float:
    """Of this process, and of its children that ended."""
    return sum(os.times()[:4])


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
    """Presidio's engine as it is called by itself; `lean` as the module says."""

    def __init__(self, settings: MaskSettings, threads: int, *, lean: bool = False) -> None:
        self._worth = reading.worth_reading if lean else _everything
        classifier = TokenClassifier(folder_of(settings.recognizer), threads)
        with (
            patch.object(reading, "lru_cache", _forgetful),
            patch.object(numbers, "lru_cache", _forgetful),
            patch.object(model_recognizer, "_classifier", lambda _: classifier),
        ):
            self.engine = engine_of(settings, list(settings.kinds()))
        parts = ["ner"] if lean else PARTS
        nlp = pipeline.__wrapped__(settings.nlp_model, *parts)  # ours decides otherwise
        if lean:
            lower_case_as_lemmas(nlp)
        self.engine.nlp_engine.nlp = {LANGUAGE: nlp}
        supported = self.engine.get_supported_entities(LANGUAGE)
        self.sought = [kind for kind in settings.kinds() if kind in supported]

    def read(self, texts: list[str]) -> int:
        for text in texts:
            self.analyze(text)
        return sum(map(len, texts))

    def analyze(self, text: str) -> list[Any]:
        with patch.object(reading, "worth_reading", self._worth):
            found: list[Any] = self.engine.analyze(
                text, LANGUAGE, entities=self.sought, score_threshold=0.0
            )
        return found

    def differences(self, detector: Detector, texts: list[str]) -> int:
        """In how many texts ours finds something else."""
        count = 0
        for text, ours in zip(texts, detector.find(texts), strict=True):
            names = detector.names_in_capitals([text]).get(0, [])
            found = as_meant(text, self.analyze(text), names)
            count += _as_set(found) != _as_set(ours)
        return count


def _everything(_: str) -> bool:
    """In place of `worth_reading`."""
    return True


def _forgetful(**_: Any) -> Callable[[Any], Any]:
    """In place of `lru_cache`."""
    return lambda read: read


def _as_set(findings: list[Finding]) -> set[tuple[str, int, int, float]]:
    return {(f.kind, f.start, f.end, round(f.score, 4)) for f in findings}


def markdown(results: dict[str, Any]) -> str:
    lines = [
        "| texts | figure | target | median | lowest to highest | of the processor |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for corpus, found in results["corpora"].items():
        for name, ratios in found["ratios"].items():
            target = f">= {TARGET}" if (corpus, name) == ("mixed", "masking over theirs") else ""
            lines.append(
                f"| {corpus} | {name} | {target} | {median(ratios):.2f} | "
                f"{min(ratios):.2f} to {max(ratios):.2f} | "
                f"{median(found['ratios_of_the_processor'][name]):.2f} |"
            )
        for name, count in found["texts_with_a_difference"].items():
            lines.append(
                f"| {corpus} | another find than {name}, of {found['sample']} texts | "
                f"{'0' if name == 'lean' else ''} | {count} | | |"
            )
    missed = [name for name, met in results["met"].items() if not met]
    return "\n".join([*lines, "", f"targets missed: {', '.join(missed) or 'none'}"])


if __name__ == "__main__":
    main()
