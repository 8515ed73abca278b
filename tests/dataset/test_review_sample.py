"""The sample, what it says of all pairs, and what reviewers' decisions do to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from stillhouse.config.project import Project, load_project
from stillhouse.dataset.pairs import pair_id, pair_schema
from stillhouse.dataset.review.sample import PAGE, draw_review_sample
from stillhouse.dataset.splits import split_pairs
from stillhouse.facts import ReviewSampleFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table
from stillhouse.tasks.classification import class_token
from tests.made import MINIMAL

LABELS = ("billing", "quality")


class Reviewing:
    """A project with pairs, whose reviews a test fills in."""

    def __init__(self, folder: Path) -> None:
        values = yaml.safe_load(MINIMAL) | {"review": {"pairs": 20}}
        values["splits"] = {"validation": 0.2, "test": 0.3}
        order = {"name": "order", "kind": "extraction", "sources": ["tickets"]}
        values["tasks"].append(order | {"fields": {"item": "string", "count": "integer"}})
        (folder / "stillhouse.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        self.project: Project = load_project(folder)
        self.layout = Layout(self.project.data_path)
        self.table = self.layout.table("review_sample")

    def pairs(self, rows: list[dict[str, Any]]) -> list[str]:
        full = [{**dict.fromkeys(pair_schema().names), **row} for row in rows]
        for row in full:
            row["pair_id"] = pair_id(row["task"], row["instruction"], row["input"], row["response"])
        table = pa.Table.from_pylist(full, schema=pair_schema())
        write_table(self.layout.table("instruction_pairs"), table)
        names = {"doc_id": "doc_id", "group_id": "family_id", "input": "content"}
        clusters = table.select(list(names)).rename_columns(list(names.values()))
        write_table(self.layout.table("duplicate_clusters"), clusters)
        return [row["pair_id"] for row in full]

    def fill_in(self, name: str, *rows: str) -> None:
        self.layout.reviews.mkdir(parents=True, exist_ok=True)
        text = "reviewer,pair_id,verdict,correction,comment\n" + "\n".join(rows) + "\n"
        (self.layout.reviews / name).write_text(text)

    def draw(self) -> ReviewSampleFacts:
        return draw_review_sample(self.project, self.layout)

    def sample(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = read_table(self.table).to_pylist()
        return rows

    def split(self) -> dict[str, dict[str, Any]]:
        """The rows of `dataset_splits` by their text."""
        split_pairs(self.project, self.layout)
        rows = read_table(self.layout.table("dataset_splits")).to_pylist()
        return {row["input"]: row for row in rows}


def ticket(n: int, label: str | None = None, **changes: Any) -> dict[str, Any]:
    name = label or LABELS[n % 2]
    return {
        "task": "routing",
        "doc_id": f"d{n}",
        "group_id": f"g{n}",
        "source": "tickets",
        "instruction": "Which queue?",
        "input": f"text {n}",
        "response": class_token("routing", name),
        "label": name,
        "origin": "gold",
        "confidentiality": "internal",
        **changes,
    }


def order(n: int) -> dict[str, Any]:
    said = f'{{"item":"pump {n}","count":{n}}}'
    return ticket(n, task="order", input=f"order {n}", response=said, label=None, group_id=f"o{n}")


@pytest.fixture
def reviewing(tmp_path: Path) -> Reviewing:
    return Reviewing(tmp_path)


def test_every_stratum_is_drawn_and_growth_replaces_few(reviewing: Reviewing) -> None:
    many = [ticket(n) for n in range(104)]
    few = [ticket(500 + n, "billing", confidentiality="public") for n in range(3)]
    reviewing.pairs([*many[:100], *few])
    facts, small = reviewing.draw(), reviewing.sample()
    assert facts.pairs == len(small) == 22
    assert facts.strata == 3
    rare = [row for row in small if row["confidentiality"] == "public"]
    assert len(rare) == 2
    # What is drawn stands for all there is.
    assert sum(row["stands_for"] for row in small) == pytest.approx(103)
    reviewing.pairs([*few, *many[::-1]])
    reviewing.draw()
    kept = {row["pair_id"] for row in reviewing.sample()} & {row["pair_id"] for row in small}
    assert len(kept) >= 17
    reviewing.pairs([*few[::-1], *many[99::-1]])
    assert reviewing.draw().digest == facts.digest


def test_nothing_reviewed_says_nothing(reviewing: Reviewing) -> None:
    reviewing.pairs([*(ticket(n) for n in range(30)), *(order(n) for n in range(30))])
    facts = reviewing.draw()
    assert (facts.decided, facts.reject_rate, facts.kappa) == (0, None, None)
    assert "<script" in reviewing.table.with_name(PAGE).read_text()
    assert {row["reviewed"] for row in reviewing.split().values()} == {None}


def test_rate_is_weighted_by_what_each_stratum_holds(reviewing: Reviewing) -> None:
    """All of the rare stratum is wrong and nothing of the large one: of all pairs, few are."""
    large = [ticket(n, "billing") for n in range(190)]
    rare = [ticket(200 + n, "quality") for n in range(10)]
    reviewing.pairs([*large, *rare])
    reviewing.draw()
    sample = reviewing.sample()
    verdicts = {"billing": "accept", "quality": "reject"}
    rows = [f"Ann,pair-{row['pair_id']},{verdicts[row['label']]},," for row in sample]
    reviewing.fill_in("a.csv", *rows)
    facts = reviewing.draw()
    assert facts.reject_rate == pytest.approx(0.05)
    assert facts.reject_rate_low is not None and facts.reject_rate_high is not None
    assert 0 < facts.reject_rate_low < 0.05 < facts.reject_rate_high < 0.3
    assert (facts.read, facts.accepted, facts.rejected) == (21, 19, 2)
    # Half read: those read stand for the others of their stratum, and what nobody read is told.
    reviewing.fill_in("a.csv", *[row for row in rows if row.endswith("accept,,")][:9])
    half = reviewing.draw()
    assert (half.reject_rate, half.unread_strata) == (0.0, 1)


def test_what_reviewers_say_is_what_is_learned_from(reviewing: Reviewing) -> None:
    ids = reviewing.pairs([*(ticket(n) for n in range(60)), *(order(n) for n in range(40))])
    reviewing.draw()
    before = reviewing.split()
    trained = [n for n in range(60) if before[f"text {n}"]["split"] == "train"]
    wrong, other, fine = trained[:3]
    mended = next(n for n in range(40) if before[f"order {n}"]["split"] == "test")
    json = '"{""item"": ""valve"", ""count"": ""7""}"'
    reviewing.fill_in(
        "a.csv",
        f"Ann,pair-{ids[wrong]},reject,,nonsense",
        f"Ann,{ids[other]},correct,{LABELS[(other + 1) % 2]},",
        f"Ann,pair-{ids[fine]},accept,,",
        f"Ann,pair-{ids[60 + mended]},correct,{json},",
    )
    facts = reviewing.draw()
    assert facts.decided == 4
    after = reviewing.split()
    assert f"text {wrong}" not in after
    changed = after[f"text {other}"]
    new = LABELS[(other + 1) % 2]
    assert (changed["label"], changed["response"]) == (new, class_token("routing", new))
    assert (changed["origin"], changed["reviewed"]) == ("gold", "corrected")
    assert changed["pair_id"] == pair_id(
        "routing", "Which queue?", f"text {other}", changed["response"]
    )
    assert after[f"text {fine}"]["reviewed"] == "accepted"
    assert after[f"order {mended}"]["response"] == '{"item":"valve","count":7}'
    # A review moves nothing to another split.
    assert {t: row["split"] for t, row in after.items()} == {
        t: row["split"] for t, row in before.items() if t != f"text {wrong}"
    }
    # A rejected pair stays in the sample: else the rate would mend itself.
    assert reviewing.draw().digest == facts.digest
    # Taken back, everything is as it was.
    (reviewing.layout.reviews / "a.csv").unlink()
    reviewing.draw()
    assert reviewing.split() == before


def test_what_reviewers_write_is_masked_but_for_what_the_masked_text_says(
    reviewing: Reviewing,
) -> None:
    pairs = [*(ticket(n) for n in range(60)), *(order(n) for n in range(40))]
    pairs[60]["input"] = "2 valves for jonas.weber@example.org, says Person-kuvora"
    ids = reviewing.pairs(pairs)
    written = [
        '"{""item"": ""valve of Person-kuvora, jonas.weber@example.org"", ""count"": 2}"',
        '"{""item"": ""valve for marta.kowalczyk@example.org"", ""count"": 7}"',
    ]
    reviewing.fill_in("a.csv", *(f"ada,{ids[60 + i]},correct,{w}," for i, w in enumerate(written)))
    found = reviewing.draw()
    assert (found.unusable, found.decided) == (0, 2)

    answers = {row["response"] for row in reviewing.split().values() if row["reviewed"]}
    assert '{"item":"valve of Person-kuvora, jonas.weber@example.org","count":2}' in answers
    (masked,) = (answer for answer in answers if '"count":7' in answer)
    assert "kowalczyk" not in masked
    assert "Email-" in masked


def test_a_correction_into_a_pair_that_there_is_leaves_one(reviewing: Reviewing) -> None:
    pairs = [*(ticket(n) for n in range(60)), *(order(n) for n in range(30))]
    twin = ticket(0, "quality", doc_id="d0")
    ids = reviewing.pairs([*pairs, twin])
    reviewing.fill_in("a.csv", f"Ann,pair-{ids[0]},correct,quality,")
    reviewing.draw()
    split_pairs(reviewing.project, reviewing.layout)
    rows = read_table(reviewing.layout.table("dataset_splits")).to_pylist()
    assert [row["label"] for row in rows if row["input"] == "text 0"] == ["quality"]
    assert len({row["pair_id"] for row in rows}) == len(rows) == 90


def test_reviews_survive_another_sample(reviewing: Reviewing) -> None:
    tickets = [ticket(n) for n in range(60)]
    ids = reviewing.pairs([*tickets, *(order(n) for n in range(30))])[:60]
    reviewing.draw()
    sampled = {row["pair_id"] for row in reviewing.sample()}
    outside = next(i for i in ids if i not in sampled)
    reviewing.fill_in("a.csv", f"Ann,pair-{outside},reject,,", "Ann,pair-00ff,accept,,")
    written = (reviewing.layout.reviews / "a.csv").read_bytes()
    facts = reviewing.draw()
    assert (facts.decided, facts.read, facts.unknown) == (1, 0, 1)
    assert outside not in {row["pair_id"] for row in reviewing.split().values()}
    assert (reviewing.layout.reviews / "a.csv").read_bytes() == written


@pytest.mark.parametrize(
    ("correction", "said"),
    [
        ("billing,none", "none of the task's classes"),
        ('"{""item"": ""x""}",', "'count': missing"),
        ('"{""item"": ""x"", ""count"": 1, ""colour"": ""red""}",', "'colour': no field"),
        ('"{""item"": ""secret"", ""count"": ""many""}",', "'count': not of type integer"),
        ("secret,", "no JSON object"),
    ],
)
def test_a_correction_that_does_not_fit_is_told_and_the_rest_counts(
    reviewing: Reviewing, correction: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    ids = reviewing.pairs([*(ticket(n) for n in range(30)), *(order(n) for n in range(30))])
    pair = ids[0] if said.startswith("none of") else ids[35]
    if said.startswith("none of"):
        correction = "secret class,"
    reviewing.fill_in(
        "anns.csv", f"Ann,pair-{pair},correct,{correction}", f"Ann,pair-{ids[1]},reject,,"
    )
    facts = reviewing.draw()
    assert (facts.unusable, facts.decided) == (1, 1)
    (told,) = [record.getMessage() for record in caplog.records if "Reviews" in record.message]
    assert f"anns.csv:2: correction: {said}" in told
    assert "secret" not in told and pair not in told
