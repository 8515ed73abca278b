"""SNIPS (Coucke et al., 2018) as instruction pairs of the task in examples/snips."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import ExtractionTask
from stillhouse.config.project import load_project
from stillhouse.tasks.common import Row
from stillhouse.tasks.extraction_grammar import canonical

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "snips"
PROJECT = load_project(EXAMPLE / "stillhouse.yaml")
(TASK,) = (task for task in PROJECT.tasks if isinstance(task, ExtractionTask))


def snips(
    folder: Path, gold: int, unlabelled: int, tested: int | None = None
) -> tuple[list[Row], list[Row]]:
    """Pairs with their split: `gold` training requests, a tenth as many more for validation, and
    the test requests, all or the first so many; and apart `unlabelled` further training requests,
    with their gold answer all the same.

    Training requests are drawn as the example draws them. Test requests that repeat one of
    `train.jsonl`, but for case and punctuation, are left out.
    """
    build, held = _builder(), max(1, gold // 10)
    training = build.read(folder / "train.jsonl")
    drawn = build.draw(
        training, gold=gold + held, unlabelled=unlabelled, seed=PROJECT.splits.seed
    ).records
    requests, seen = {r["id"]: r for r in training}, {_words(r) for r in training}
    # In the order of their lots: the first are as good as any.
    labelled = [requests[r["id"]] for r in drawn if "answer" in r]
    without = [requests[r["id"]] for r in drawn if "answer" not in r]
    test = [r for r in build.read(folder / "test.jsonl") if _words(r) not in seen]
    splits = {"validation": labelled[:held], "train": labelled[held:], "test": test[:tested]}
    rows = [_row(request, split) for split, chosen in splits.items() for request in chosen]
    return rows, [_row(request, "train") for request in without]


def _row(request: dict[str, Any], split: str) -> Row:
    return {
        "pair_id": request["id"],
        "task": TASK.name,
        "doc_id": request["id"],
        "group_id": request["id"],
        "source": "snips",
        "instruction": TASK.instruction,
        "input": request["text"],
        "response": canonical({"intent": request["intent"], **request["slots"]}, TASK.fields),
        "origin": "gold",
        "split": split,
    }


def _words(request: dict[str, Any]) -> str:
    return " ".join(re.findall(r"\w+", request["text"].casefold()))


def _builder() -> Any:
    """The example's script, which knows what there is to draw from."""
    spec = importlib.util.spec_from_file_location("snips_build", EXAMPLE / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their types
    spec.loader.exec_module(module)
    return module
