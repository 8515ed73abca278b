"""Draw the records of this example from SNIPS: some with their answer, more without.

    python examples/snips/build.py --snips DIR

DIR holds `train.jsonl`: one request a line with "id", "text", "intent" and "slots" (name: value, or
a list of values where a slot stands more than once). README.md says where the data comes from.

What is drawn is decided by a digest of seed and id, so neither the order of the lines nor the
version of Python matters: the same data and seed give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stillhouse.storage.files import atomic_file

HERE = Path(__file__).parent

GOLD = 1430  # of which the project's splits leave about 1,000 to train on
UNLABELLED = 3000

LISTS = ("music_item", "restaurant_type", "spatial_relation")
"""Slots that do stand twice in a request ("a song off the album"), one time in a hundred. Others
do so far more seldom, and often by a slip of the annotators ("7" and "day" for "7 day")."""

Record = dict[str, Any]


@dataclass
class Drawn:
    """The records, and why requests were not among those to draw from."""

    records: list[Record] = field(default_factory=list)
    repeated: int = 0
    twice: int = 0
    broken: int = 0


def draw(requests: list[Record], *, gold: int, unlabelled: int, seed: int) -> Drawn:
    """So many records with and without "answer", as evenly over the intents as their number allows.

    Left out, and counted, are requests that repeat an earlier one but for case and punctuation,
    those with control characters (what is left of letters once misread), and those in which a slot
    that is no list stands twice. Raises `SystemExit` when an intent has too few.
    """
    drawn = Drawn()
    by_intent: dict[str, list[Record]] = defaultdict(list)
    for request in _usable(requests, drawn):
        by_intent[request["intent"]].append(request)
    for place, intent in enumerate(sorted(by_intent)):
        found = sorted(by_intent[intent], key=lambda r: _lot(seed, r["id"]))
        labelled = _share(gold, len(by_intent), place)
        wanted = labelled + _share(unlabelled, len(by_intent), place)
        if len(found) < wanted:
            raise SystemExit(f"{intent}: {len(found)} requests, but {wanted} are to be drawn")
        drawn.records += [_record(r, with_answer=True) for r in found[:labelled]]
        drawn.records += [_record(r, with_answer=False) for r in found[labelled:wanted]]
    drawn.records.sort(key=lambda r: _lot(seed, r["id"]))
    return drawn


def _usable(requests: list[Record], drawn: Drawn) -> Iterator[Record]:
    seen: set[str] = set()
    for request in requests:
        words = " ".join(re.findall(r"\w+", request["text"].casefold()))
        slots = request["slots"]
        if words in seen:
            drawn.repeated += 1
        elif any(isinstance(v, list) and name not in LISTS for name, v in slots.items()):
            drawn.twice += 1
        elif any(unicodedata.category(c) == "Cc" for c in request["text"]):
            drawn.broken += 1
        else:
            yield request
        seen.add(words)


def _record(request: Record, *, with_answer: bool) -> Record:
    record = {"id": request["id"], "text": request["text"]}
    if with_answer:
        record["answer"] = {"intent": request["intent"]} | {
            name: [v] if name in LISTS and isinstance(v, str) else v
            for name, v in sorted(request["slots"].items())
        }
    return record


def _lot(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()


def _share(total: int, parts: int, place: int) -> int:
    """What the part at `place` gets when `total` is dealt in turn."""
    return total // parts + (place < total % parts)


def read(path: Path) -> list[Record]:
    """The requests of `path`; raises `SystemExit` when they aren't there."""
    try:
        with path.open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream if line.strip()]
    except FileNotFoundError:
        raise SystemExit(f"{path}: not there; README.md says where the data comes from") from None


def write(path: Path, records: list[Record]) -> None:
    """One record a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--snips", type=Path, required=True, help="folder with train.jsonl")
    parser.add_argument("--out", type=Path, default=HERE / "data", help="folder to write to")
    parser.add_argument("--gold", type=int, default=GOLD, help="requests with their answer")
    parser.add_argument("--unlabelled", type=int, default=UNLABELLED, help="requests without")
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args(arguments)
    requests = read(chosen.snips / "train.jsonl")
    drawn = draw(requests, gold=chosen.gold, unlabelled=chosen.unlabelled, seed=chosen.seed)
    write(chosen.out / "requests.jsonl", drawn.records)
    print(
        f"{chosen.gold:,} requests with an answer, {chosen.unlabelled:,} without, "
        f"of {len(requests):,}. Not drawn from: {drawn.repeated} that repeat another, "
        f"{drawn.twice} with a slot twice that is no list, {drawn.broken} with broken letters",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
