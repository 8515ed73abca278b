"""What the builder of examples/snips draws, on requests of our own in the data's form."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import ExtractionTask
from stillhouse.config.project import load_project

SNIPS = Path(__file__).parents[2] / "examples" / "snips"
INTENTS = ("BookRestaurant", "GetWeather", "PlayMusic")
CITIES = ("Ghent", "Porto", "Lund", "Turku", "Graz", "Cork", "Bergen", "Parma", "Tartu", "Lyon")


def request(number: int, intent: str, text: str, **slots: str | list[str]) -> dict[str, Any]:
    return {"id": f"train-{number}", "text": text, "intent": intent, "slots": slots}


@pytest.fixture
def requests() -> list[dict[str, Any]]:
    """Ten of each intent, and three that must not be drawn."""
    found = []
    for number, city in enumerate(CITIES):
        table = f"a tavern or a pub in {city} for {number + 2}"
        found += [
            request(
                3 * number,
                "BookRestaurant",
                table,
                restaurant_type=["tavern", "pub"],
                city=city,
                party_size_number=str(number + 2),
            ),
            request(3 * number + 1, "GetWeather", f"will it rain in {city}?", city=city),
            request(
                3 * number + 2,
                "PlayMusic",
                f"a song by the {city} choir",
                music_item="song",
                artist=f"{city} choir",
            ),
        ]
    return [
        *found,
        request(90, "GetWeather", "Will it rain in Ghent", city="Ghent"),
        request(91, "GetWeather", "Porto or Lund, which is dry?", city=["Porto", "Lund"]),
        request(92, "PlayMusic", "play A Ã\x81rvore", album="A Ã\x81rvore"),
    ]


def build(folder: Path, requests: list[dict[str, Any]], *options: str) -> tuple[bytes, str]:
    folder.mkdir(parents=True)
    lines = [json.dumps(r, ensure_ascii=False) + "\n" for r in requests]
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    command = [sys.executable, str(SNIPS / "build.py"), "--snips", str(folder)]
    done = subprocess.run(
        [*command, "--out", str(folder / "out"), *options],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return (folder / "out" / "requests.jsonl").read_bytes(), done.stderr


def test_what_is_drawn(tmp_path: Path, requests: list[dict[str, Any]]) -> None:
    made, said = build(tmp_path / "a", requests, "--gold", "7", "--unlabelled", "18")
    records = [json.loads(line) for line in made.decode().splitlines()]
    asked = {r["id"]: r for r in requests}

    labelled = [r for r in records if "answer" in r]
    assert sorted(Counter(r["answer"]["intent"] for r in labelled).values()) == [2, 2, 3]
    assert all(set(r) == {"id", "text"} for r in records if "answer" not in r)
    drawn = Counter(asked[r["id"]]["intent"] for r in records)
    assert [drawn[intent] for intent in INTENTS] == [9, 8, 8]

    assert not {"train-90", "train-91", "train-92"} & {r["id"] for r in records}
    assert "1 that repeat another, 1 with a slot twice that is no list, 1 with broken" in said
    for record in labelled:
        given = asked[record["id"]]
        answer = dict(record["answer"])
        assert record["text"] == given["text"]
        assert answer.pop("intent") == given["intent"]
        if given["intent"] == "PlayMusic":
            assert answer.pop("music_item") == ["song"]
            assert answer == {"artist": given["slots"]["artist"]}
        else:
            assert answer == given["slots"]


def test_the_same_data_and_seed_give_the_same_bytes(
    tmp_path: Path, requests: list[dict[str, Any]]
) -> None:
    options = ("--gold", "6", "--unlabelled", "15")
    first, _ = build(tmp_path / "a", requests, *options)
    assert build(tmp_path / "b", requests, *options)[0] == first
    # Of the two requests that say the same, the first one stays: it keeps its place.
    turned = [*requests[29::-1], *requests[30:]]
    assert build(tmp_path / "c", turned, *options)[0] == first
    assert build(tmp_path / "d", requests, *options, "--seed", "8")[0] != first


def test_too_few_requests_are_said(tmp_path: Path, requests: list[dict[str, Any]]) -> None:
    with pytest.raises(RuntimeError, match="BookRestaurant: 10 requests, but 12 are to be drawn"):
        build(tmp_path / "a", requests, "--gold", "6", "--unlabelled", "30")


def test_missing_data_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SNIPS / "build.py"), "--snips", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "train.jsonl: not there; README.md says where" in done.stderr


def test_the_project_file_knows_the_data(tmp_path: Path, requests: list[dict[str, Any]]) -> None:
    """Whatever stands as a list is one there; every slot that is drawn is a field."""
    project = load_project(SNIPS)
    task = project.task("request")
    assert isinstance(task, ExtractionTask)
    free = {name: field for name, field in task.fields.items() if name != "intent"}
    assert len(free) == 39
    assert all(field.optional and field.is_grounded for field in free.values())
    assert len(task.fields["intent"].values or []) == 7
    assert project.privacy.entities == []

    made, _ = build(tmp_path / "a", requests, "--gold", "30", "--unlabelled", "0")
    lists = set()
    for line in made.decode().splitlines():
        answer = json.loads(line)["answer"]
        assert set(answer) <= set(task.fields)
        lists |= {name for name, value in answer.items() if isinstance(value, list)}
    assert lists == {"music_item", "restaurant_type"}
    assert all(task.fields[name].many for name in lists)
    assert not task.fields["city"].many
