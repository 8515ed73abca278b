"""False alarms of the drift report on an unchanged stream, and how often it finds a shift.

    python benchmarks/drift.py --snips DIR --banking77 DIR

DIR holds `train.jsonl` (SNIPS) or `train.csv` (Banking77), as examples/ say. Of each corpus some
topics are kept apart, as what nobody has asked yet. A draw deals its other requests anew: to what a
student learned from, to pairs held out, and to traffic, of which a share is then of the new topics.
Each draw runs the report's own tests, with its default limits, on three sizes of traffic. Student
and teacher are classifiers of topics (TF-IDF and logistic regression) that were trained once, on
few and on many requests; the teacher knows the new topics no better than the student.

`alarms` is the share of draws with a verdict of drift, with its 95 % interval (Wilson). At a shift
of 0 it is that of false alarms: at most 0.05 is the target over 200 draws. `by_chance` is the share
of draws in which some test's family-wise p was at most 0.05, whatever the limits of its effect.
`by_test` counts the alarms that each test had a part in.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.config.monitor import Drift
from stillhouse.facts import DriftTestFacts
from stillhouse.metrics.classification import wilson_interval
from stillhouse.metrics.holm import holm
from stillhouse.monitor.answers import answer_tests
from stillhouse.monitor.compared import compare_texts
from stillhouse.monitor.texts import Texts
from stillhouse.monitor.verdict import over_limit
from stillhouse.storage.files import write_json

RESULTS = Path(__file__).parent / "results" / "drift.json"
SHIFTS, SIZES = (0.0, 0.1, 0.25, 0.5), (100, 300, 1000)
REFERENCE, HELD_OUT, ASKED = 2000, 300, 200
# Topics kept apart: one of seven, and eight of 77 that are about cards.
NEW = {
    "snips": ("PlayMusic",),
    "banking77": (
        *("card_arrival", "card_delivery_estimate", "card_linking", "card_not_working"),
        *("lost_or_stolen_card", "card_swallowed", "compromised_card", "card_about_to_expire"),
    ),
}


@dataclass
class Corpus:
    known: list[str]
    new: list[str]
    student: Any
    teacher: Any


def corpus(name: str, folder: Path, seed: int) -> Corpus:
    topics = snips(folder) if name == "snips" else banking77(folder)
    new = [text for text, topic in topics.items() if topic in NEW[name]]
    known = [text for text, topic in topics.items() if topic not in NEW[name]]
    random = np.random.default_rng(seed)
    random.shuffle(known)
    trained, rest = known[:3000], known[3000:]
    models = [classifier(few, [topics[t] for t in few]) for few in (trained[:1000], trained)]
    return Corpus(rest, new, *models)


def snips(folder: Path) -> dict[str, str]:
    rows = map(json.loads, (folder / "train.jsonl").read_text().splitlines())
    return {row["text"]: row["intent"] for row in rows}


def banking77(folder: Path) -> dict[str, str]:
    with (folder / "train.csv").open(newline="") as stream:
        return {row["text"].strip(): row["category"] for row in csv.DictReader(stream)}


def classifier(texts: list[str], labels: list[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=300)).fit(
        texts, labels
    )


def draw(
    corpus: Corpus, size: int, shift: float, seed: int, settings: Drift
) -> list[DriftTestFacts]:
    random = np.random.default_rng(seed)
    known = random.permutation(corpus.known).tolist()
    new = random.permutation(corpus.new).tolist()[: round(size * shift)]
    reference = min(REFERENCE, len(known) - HELD_OUT - size)
    taken = known[: reference + HELD_OUT + size]
    learned, held, rest = np.split(np.array(taken), [reference, reference + HELD_OUT])
    traffic = random.permutation([*new, *rest[: size - len(new)]]).tolist()
    sides = (Texts(list(learned), list(learned)), Texts(traffic, traffic, traffic))
    tests = compare_texts(*sides, settings).tests + models_tests(corpus, list(held), traffic, seed)
    adjusted = holm([test.p for test in tests])
    return [
        DriftTestFacts("topics", t.name, t.limit, t.effect, t.p, 1.0, a)
        for t, a in zip(tests, adjusted, strict=True)
    ]


def models_tests(corpus: Corpus, held: list[str], traffic: list[str], seed: int) -> list[Any]:
    sure, said, apart = [], [], []
    for texts in (held, traffic):
        probabilities = corpus.student.predict_proba(texts)
        answers = corpus.student.classes_[probabilities.argmax(axis=1)]
        sure.append(probabilities.max(axis=1))
        said.append(answers.tolist())
        asked = texts[:ASKED]
        apart.append((corpus.teacher.predict(asked) != answers[: len(asked)]).astype(float))
    return answer_tests((sure[0], sure[1]), (said[0], said[1]), (apart[0], apart[1]), seed=seed)[0]


def measured(
    corpus: Corpus, size: int, shift: float, draws: int, settings: Drift
) -> dict[str, Any]:
    alarms = by_chance = 0
    by_test: Counter[str] = Counter()
    started = time.process_time()
    for seed in range(draws):
        tests = draw(corpus, size, shift, seed, settings)
        over = over_limit(tests, settings)
        alarms += bool(over)
        by_chance += any(test.adjusted <= settings.false_alarms for test in tests)
        by_test.update({test.name for test in over})
    low, high = wilson_interval(alarms, draws)
    return {
        "requests": size,
        "shift": shift,
        "draws": draws,
        "alarms": alarms / draws,
        "alarms_low": round(low, 4),
        "alarms_high": round(high, 4),
        "by_chance": by_chance / draws,
        "by_test": dict(by_test.most_common()),
        "processor_seconds_a_draw": round((time.process_time() - started) / draws, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snips", type=Path)
    parser.add_argument("--banking77", type=Path)
    parser.add_argument("--draws", type=int, default=200, help="of an unchanged stream")
    parser.add_argument("--shifted", type=int, default=50, help="draws of each shift")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    settings = Drift()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in ("snips", "banking77"):
        folder = getattr(options, name)
        if folder is None:
            continue
        texts, rows = corpus(name, folder, seed=0), []
        for size in options.sizes:
            for shift in SHIFTS:
                draws = options.shifted if shift else options.draws
                rows.append(measured(texts, size, shift, draws, settings))
                print(name, rows[-1], flush=True)
                found[name] = rows
                write_json(RESULTS, found)


if __name__ == "__main__":
    main()
