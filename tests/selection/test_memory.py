"""The formulas of memory against the real peaks of training, labelling and answering."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse.lm.prompts import Encoder
from stillhouse.lm.tokens import add_tokens
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.selection.memory import (
    Load,
    adapter_training,
    full_training,
    labelling,
    serving,
)
from stillhouse.selection.plan import largest_batch
from stillhouse.selection.shape import shape_of
from stillhouse.tasks.common import training_examples
from stillhouse.tasks.kinds import open_tasks
from tests.selection import peaks

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 0.15
# 12 M weights: their memory, and that of a batch, is far above what libraries take.
REAL = {
    "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 7, "vocab_size": 4000,
    "num_attention_heads": 8, "num_key_value_heads": 4,
}  # fmt: skip
# Most of whose weights are embeddings: held where they become another type, else hardly read.
WIDE = {
    "53 M": ({**REAL, "hidden_size": 576, "intermediate_size": 1536, "vocab_size": 49152,
              "num_attention_heads": 9, "num_key_value_heads": 3}, "float32"),
    "29 M": ({**REAL, "vocab_size": 49152}, "bfloat16"),
}  # fmt: skip


def pairs(like: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Pairs of as many tokens as fit, to train and to validate on."""
    return [
        {**like, "pair_id": f"{split}-{i}", "doc_id": f"{split}-{i}", "group_id": f"{split}-{i}",
         "input": f"{i} " + "so it goes on and on " * 4, "split": split}
        for split, n in (("train", count), ("validation", 1), ("test", 1))
        for i in range(n)
    ]  # fmt: skip


def knowing(folder: Path, dataset: Path, task: Any, dtype: str) -> Path:
    """The model with the answer tokens of `task`, its weights kept as `dtype`."""
    import torch

    model = load_model(folder, torch.device("cpu"), torch.float32)
    tokenizer = load_tokenizer(folder)
    (kind,) = open_tasks(dataset, [task])
    add_tokens(model, tokenizer, kind.answer_tokens)
    for saved in (model.to(getattr(torch, dtype)), tokenizer):
        saved.save_pretrained(folder.with_suffix(".known"))
    return folder.with_suffix(".known")


def measured(
    tmp_path: Path, real: Path, tiny: Path, dataset: Path, others: list[Path]
) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.selection.peaks", tiny, real, dataset, tmp_path / "w"]
    command += others
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout.split("PEAKS")[1])
    return found


@pytest.mark.slow
def test_what_is_said_is_what_is_held(
    tmp_path: Path,
    write_tiny_model: Callable[..., Path],
    write_dataset: Callable[..., Path],
    routing: Any,
    routing_pairs: list[dict[str, Any]],
) -> None:
    tiny, real = write_tiny_model(tmp_path / "tiny"), write_tiny_model(tmp_path / "real", **REAL)
    dataset = write_dataset(tmp_path / "pairs.parquet", pairs(routing_pairs[0], 3 * peaks.BATCH))
    others = {
        name: (knowing(write_tiny_model(tmp_path / name, **shape), dataset, routing, dtype), dtype)
        for name, (shape, dtype) in WIDE.items()
    }
    found = measured(tmp_path, real, tiny, dataset, [folder for folder, _ in others.values()])
    shape = shape_of("real", real)
    (kind,) = open_tasks(dataset, [routing])
    encoder = Encoder(load_tokenizer(real), peaks.MAX_TOKENS)
    examples = training_examples(kind, dataset, encoder).examples
    load = Load(*largest_batch(examples, peaks.BATCH, packed=True))
    answering = Load(*largest_batch(examples, 16, packed=True))
    said = {
        "training, LoRA": adapter_training(shape, load, rank=8, layers=7),
        "labelling": labelling(shape, load),
        "training, full": full_training(shape, load),
        # Classes are answered without keys and values, sixteen texts at a time.
        "serving, fp16": serving(shape, 16, answering, sequences=0, tokens=0, classes=True),
    }
    for name, (folder, _) in others.items():
        said[name] = serving(
            shape_of(name, folder), 16, answering, sequences=0, tokens=0, classes=True
        )
    off = {name: need.resident / found[name] - 1 for name, need in said.items()}
    assert all(abs(share) < WITHIN for share in off.values()), (found, off)
