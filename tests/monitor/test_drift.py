"""Traffic against what was learned from: alarms that are true, and few that are not."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from stillhouse.config.monitor import Drift
from stillhouse.facts import DriftReportFacts, DriftTestFacts
from stillhouse.metrics.holm import holm
from stillhouse.monitor import chance
from stillhouse.monitor.answers import answer_tests
from stillhouse.monitor.chance import (
    areas,
    benjamini_hochberg,
    higher_mean,
    more_in_tail,
    other_mix,
    psi,
)
from stillhouse.monitor.compared import compare_texts
from stillhouse.monitor.drift import REQUESTS, WORDS, report_drift
from stillhouse.monitor.shown import shown
from stillhouse.monitor.texts import Texts, reference_texts, traffic_texts
from stillhouse.monitor.traffic import traffic_schema
from stillhouse.monitor.verdict import over_limit, verdict
from stillhouse.storage.tables import read_table, write_table

SETTINGS = Drift(texts=120, min_texts=20, teacher_requests=0)
ORDERS = "invoice payment refund charge card bank order parcel delivery address account"
PRINTERS = "printer toner paper jam tray scanner cartridge roller fuser driver spooler"
TALK = "please help me with my the a it is not why when can you today again still"
WORDS_OF, COMMON = {"old": ORDERS.split(), "new": PRINTERS.split()}, TALK.split()


def sentence(of: random.Random, topic: str = "old") -> str:
    said = [of.choice(COMMON) for _ in range(of.randint(4, 9))]
    said += [of.choice(WORDS_OF[topic]) for _ in range(of.randint(2, 4))]
    of.shuffle(said)
    return " ".join(said)


def drawn(seed: int, texts: int, shift: float = 0.0) -> Texts:
    of = random.Random(seed)
    new = round(texts * shift)
    said = [sentence(of, "new" if n < new else "old") for n in range(texts)]
    of.shuffle(said)
    return Texts(said, said, [f"r{n}" for n in range(texts)])


def all_tests(seed: int, shift: float = 0.0) -> list[DriftTestFacts]:
    """All tests, of texts and of answers, on one draw."""
    found = compare_texts(drawn(seed, 120), drawn(seed + 10_000, 50, shift), SETTINGS).tests
    of = np.random.default_rng(seed)
    sides = [(of.beta(5, 2, n), of.choice(["a", "b", "c"], n).tolist()) for n in (60, 60)]
    apart = [(of.random(60) < 0.1).astype(float) for _ in sides]
    sure, said = zip(*sides, strict=True)
    found = found + answer_tests(sure, said, tuple(apart), seed=seed)[0]
    adjusted = holm([test.p for test in found])
    return [
        DriftTestFacts("routing", t.name, t.limit, t.effect, t.p, 1.0, a)
        for t, a in zip(found, adjusted, strict=True)
    ]


@pytest.fixture(scope="module", autouse=True)
def fewer_arrangements() -> Any:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(chance, "REPEATS", 499)
        patched.setattr("stillhouse.monitor.domain.REPEATS", 499)
        yield


def test_an_unchanged_stream_seldom_alarms() -> None:
    """Family-wise: any test with a corrected p that low, whatever its effect. More than these of 30
    draws would be an accident of 1 in 100 if one draw in twenty were a false alarm."""
    draws = [all_tests(seed) for seed in range(30)]
    by_chance = sum(any(test.adjusted <= 0.05 for test in tests) for tests in draws)
    assert by_chance <= binom.ppf(0.99, len(draws), 0.05)
    assert sum(bool(over_limit(tests, SETTINGS)) for tests in draws) <= by_chance
    # And each test's own p is what it says, so that none is paid for by the others.
    for name in {test.name for test in draws[0]}:
        low = sum(t.p <= 0.1 for tests in draws for t in tests if t.name == name)
        assert low <= binom.ppf(0.9999, len(draws), 0.1), name


@pytest.mark.parametrize(("shift", "least"), [(0.25, 0.7), (0.5, 1.0)])
def test_a_new_topic_is_found(shift: float, least: float) -> None:
    found = [over_limit(all_tests(seed, shift), SETTINGS) for seed in range(6)]
    assert sum(map(bool, found)) >= least * len(found)


def test_copies_are_no_evidence() -> None:
    """The same few requests a hundred times would be a hundred times as sure."""
    traffic = [row(n, "please pay my invoice " * 3) for n in range(100)]
    traffic += [row(n, sentence(random.Random(n))) for n in range(100, 130)]
    traffic += [row(n, f"turn {n} of a talk", conversation="one") for n in range(130, 160)]
    # Who is named, and which number, makes no other text.
    traffic += [
        row(n, f"Person-{c}ovoka has order {n}") for n, c in zip((160, 161), "bk", strict=True)
    ]
    table = pa.Table.from_pylist(traffic, schema=traffic_schema())
    found = traffic_texts(table, "routing", "router", SETTINGS)  # type: ignore[arg-type]
    assert len(found) == 1 + 30 + 1 + 1
    again = traffic_texts(
        table.take(list(reversed(range(len(traffic))))), "routing", "router", SETTINGS
    )  # type: ignore[arg-type]
    assert again == found


def row(number: int, text: str, **fields: Any) -> dict[str, Any]:
    time = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(minutes=number)
    said = {"request": f"r{number:04}", "task": "routing", "input": text, "time": time}
    return {**said, "pseudonyms": [], **fields}


def pair(number: int, text: str, **fields: Any) -> dict[str, Any]:
    split = "validation" if number % 5 == 0 else "train"
    return {
        "pair_id": f"p{number:04}", "task": "routing", "doc_id": f"d{number}",
        "group_id": f"g{number}", "source": "tickets", "instruction": "Name it.", "input": text,
        "response": "<|routing:a|>", "label": "a", "origin": "gold", "split": split, **fields,
    }  # fmt: skip


def test_of_the_reference_one_text_a_family_counts_and_only_named_sources(
    tmp_path: Path, write_dataset: Callable[..., Path]
) -> None:
    pairs = [pair(n, sentence(random.Random(n))) for n in range(10)]
    pairs += [pair(n, sentence(random.Random(n)), group_id="one") for n in range(10, 20)]
    pairs += [pair(20, "a wiki page", source="wiki"), pair(21, "held out", split="test")]
    pairs += [pair(22, "nobody asks", origin="passage", response=None)]
    dataset = write_dataset(tmp_path / "pairs.parquet", pairs)
    assert len(reference_texts(dataset, "routing", SETTINGS)) == 12
    only = SETTINGS.model_copy(update={"sources": ["wiki"]})
    assert reference_texts(dataset, "routing", only).texts == ["a wiki page"]


@pytest.fixture
def dataset(tmp_path: Path, write_dataset: Callable[..., Path]) -> Path:
    pairs = [pair(n, sentence(random.Random(n))) for n in range(150)]
    return write_dataset(tmp_path / "pairs.parquet", pairs)


def reported(
    folder: Path, dataset: Path, routing: Any, traffic: list[dict[str, Any]], **settings: Any
) -> DriftReportFacts:
    folder.mkdir(exist_ok=True)
    table = folder / "traffic.parquet"
    write_table(table, pa.Table.from_pylist(traffic, schema=traffic_schema()))
    chosen = SETTINGS.model_copy(update=settings)
    return report_drift(table, dataset, [routing], "router", None, chosen, folder)


def test_the_report_names_the_words_and_requests_that_drive_it(
    tmp_path: Path, dataset: Path, routing: Any
) -> None:
    of = random.Random(5)
    traffic = [row(n, sentence(of, "new" if n % 2 else "old")) for n in range(80)]
    # What few say may tell who they are.
    traffic[1]["input"] += " quetzalcoatl"
    traffic[3]["input"] = "<script>| https://a.example [x](y)\n" + traffic[3]["input"]
    folder = tmp_path / "drift"
    facts = reported(folder, dataset, routing, traffic)
    said = verdict(facts, SETTINGS)
    assert said.drifted and "traffic has drifted" in said.said and facts.auc["routing"] > 0.65
    words = read_table(folder / WORDS).to_pylist()
    loudest = sorted(words, key=lambda w: -w["weight"])[:6]
    assert {w["word"] for w in loudest} <= {*WORDS_OF["new"]}
    assert all((w["traffic"] if w["weight"] > 0 else w["reference"]) >= 5 for w in words)
    rows = read_table(folder / REQUESTS).to_pylist()
    novel = [r["request"] for r in rows if r["novel"]]
    assert len(novel) > 20 and all(int(r[1:]) % 2 for r in novel)
    markdown = shown(facts, SETTINGS, folder, folder / "traffic.parquet")
    assert list(markdown) == ["verdict", "tests", "routing_plots", "routing_requests"]
    everything = "\n".join(markdown.values())
    assert "quetzalcoatl" not in "".join(v for k, v in markdown.items() if k != "routing_requests")
    assert "<script>" not in everything and "](y)" not in everything
    assert markdown["routing_plots"].count("data:image/png") == 2
    assert not any(word in str(facts) for word in WORDS_OF["new"])


def test_limits_are_those_of_now(tmp_path: Path, dataset: Path, routing: Any) -> None:
    traffic = [row(n, sentence(random.Random(n), "new" if n % 2 else "old")) for n in range(80)]
    facts = reported(tmp_path / "drift", dataset, routing, traffic)
    loose = {"auc": 1.0, "psi": 99, "novel": 1.0, "unknown_words": 1.0}
    assert verdict(facts, SETTINGS).drifted
    assert verdict(facts, SETTINGS.model_copy(update=loose)).drifted is False


@pytest.mark.parametrize(
    ("traffic", "said"),
    [([], "no request"), ([row(1, "one")], "too few texts"),
     ([row(n, sentence(random.Random(n)), student="other") for n in range(60)], "no request")],
)  # fmt: skip
def test_without_enough_traffic_nothing_is_said_of_it(
    tmp_path: Path, dataset: Path, routing: Any, traffic: list[dict[str, Any]], said: str
) -> None:
    facts = reported(tmp_path / "drift", dataset, routing, traffic)
    found = verdict(facts, SETTINGS)
    assert found.drifted is None and said in found.said
    assert list(shown(facts, SETTINGS, tmp_path, tmp_path)) == ["verdict"]


def test_only_the_last_days_count(tmp_path: Path, dataset: Path, routing: Any) -> None:
    last = datetime(2026, 5, 1, tzinfo=UTC)
    of = random.Random(1)
    traffic = [row(n, sentence(of, "new"), time=last - timedelta(days=60)) for n in range(60)]
    traffic += [row(n, sentence(of), time=last - timedelta(minutes=n)) for n in range(60, 120)]
    assert verdict(reported(tmp_path / "a", dataset, routing, traffic), SETTINGS).drifted is False
    facts = reported(tmp_path / "b", dataset, routing, traffic, window_days=90)
    assert verdict(facts, SETTINGS).drifted and facts.kept == 120


def test_statistics_against_what_is_known_of_them() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert (holm([]), benjamini_hochberg([])) == ([], [])
    same = np.arange(1000)
    assert psi(same, same) == pytest.approx(0, abs=1e-3) and psi(same, same + 900) > 1
    scores, labels = np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([[0], [0], [1], [1]], bool)
    assert areas(scores, labels).tolist() == [0.75]
    assert other_mix([50, 50], [10, 90], seed=0) == pytest.approx(0.002)
    assert other_mix([50], [90], seed=0) == 1.0
    assert higher_mean([0] * 50, [1] * 5 + [0] * 45, seed=0) == pytest.approx(0.028, abs=0.02)
    low = np.concatenate([np.zeros(10), np.ones(90)])
    assert more_in_tail(np.ones(100), low) == pytest.approx(0.0008, abs=2e-4)
