"""Join our questions and summaries with the passages of Debian's manuals that they are about.

    python examples/handbook-qa/build.py

reads the manuals of this system; `--manuals DIR` takes another folder like its /usr/share. Writes
`qa.jsonl`, a question a line, and `sections.jsonl`: all passages, some of them with a summary. What
is about a passage that these manuals lack, or put in other words, is left out and counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passages import Passage, passages_of

from stillhouse.storage.files import atomic_file

HERE = Path(__file__).parent
WRITTEN = ("questions.jsonl", "summaries.jsonl")

Record = dict[str, Any]


@dataclass
class Joined:
    """Records of both kinds; passages that are not in the manuals, and what was about them."""

    qa: list[Record] = field(default_factory=list)
    sections: list[Record] = field(default_factory=list)
    unknown_passages: int = 0
    left_out: int = 0


def join(passages: list[Passage], questions: list[Record], summaries: list[Record]) -> Joined:
    """Questions with their passage, and passages with their summary where there is one.

    A passage's key stands for its words alone, while an answer must stand in it to the letter; one
    that doesn't is left out too. An empty answer says that the passage holds none.
    """
    joined = Joined()
    texts = {passage.key: passage.text for passage in passages}
    numbers: Counter[str] = Counter()
    for question in questions:
        key, answer = question["passage"], question["answer"]
        numbers[key] += 1
        if key in texts and answer in texts[key]:
            said = {"passage": texts[key], "question": question["question"], "answer": answer}
            joined.qa.append({"id": f"{key}/{numbers[key]}", **said})
    summary_of = {summary["passage"]: summary["summary"] for summary in summaries}
    for passage in passages:
        record = {"id": passage.key, "heading": passage.heading, "text": passage.text}
        if passage.key in summary_of:
            record["summary"] = summary_of[passage.key]
        joined.sections.append(record)
    joined.unknown_passages = len({*numbers, *summary_of} - texts.keys())
    joined.left_out = len(questions) - len(joined.qa) + len(summary_of.keys() - texts.keys())
    return joined


def read(path: Path) -> list[Record]:
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def write(path: Path, records: list[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--manuals", type=Path, default=Path("/usr/share"), help="like /usr/share")
    parser.add_argument("--out", type=Path, default=HERE / "data", help="folder to write to")
    chosen = parser.parse_args(arguments)
    joined = join(passages_of(chosen.manuals), *(read(HERE / name) for name in WRITTEN))
    if not joined.qa:
        raise SystemExit(f"{chosen.manuals}: none of the passages of our questions is in there")
    write(chosen.out / "qa.jsonl", joined.qa)
    write(chosen.out / "sections.jsonl", joined.sections)
    without = sum(not record["answer"] for record in joined.qa)
    summaries = sum("summary" in record for record in joined.sections)
    print(
        f"{len(joined.qa)} questions, {without} of them without an answer; "
        f"{len(joined.sections)} passages, {summaries} of them with a summary. Not in these "
        f"manuals: {joined.unknown_passages} passages; left out with them: {joined.left_out} "
        "questions and summaries",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
