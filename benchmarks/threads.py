"""Training beside another process: what each way for threads to wait loses.

    python benchmarks/threads.py
    python benchmarks/threads.py --rounds 5

A training step (forward, backward, AdamW) of a model with SmolLM2-135M's shapes and fewer layers,
8 texts of 60 tokens, under the thread settings below: alone, beside one process that only counts,
and beside a second training process with the same settings. The turns of all settings alternate
within a round and each figure is the median of the rounds, so that what else the machine does
disturbs all of them alike.

`alone`, `beside_busy`, `beside_training`: steps a second as a share of the first setting's alone.
On two cores a fair share is 0.75 beside a busy process (one core and half of the other) and 0.5
beside a second training. PyTorch's wheels bring GNU's OpenMP, which knows no KMP_BLOCKTIME: that
row shows how much is noise. Takes under two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from stillhouse.offline import go_offline
from stillhouse.storage.files import write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
SWITCHES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SETTINGS: dict[str, dict[str, str]] = {
    "default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=0": {"GOMP_SPINCOUNT": "0"},
    "KMP_BLOCKTIME=0": {"KMP_BLOCKTIME": "0"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
ALONE, BUSY, TRAINING = "alone", "beside_busy", "beside_training"
LAYERS, VOCABULARY, TEXTS, TOKENS = 2, 4_000, 8, 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of training in each turn")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "threads.json")
    parser.add_argument("--trainer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    go_offline()
    if options.trainer:
        train_when_told()
        return
    results = measure(options.rounds, options.seconds)
    write_json(options.json, results)
    print(markdown(results))


def measure(rounds: int, seconds: float) -> dict[str, Any]:
    rates: dict[str, dict[str, list[float]]] = {
        name: {ALONE: [], BUSY: [], TRAINING: []} for name in SETTINGS
    }
    pairs = {name: (Trainer(settings), Trainer(settings)) for name, settings in SETTINGS.items()}
    for trainer in (t for pair in pairs.values() for t in pair):
        trainer.result()  # it is ready
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        turns = list(pairs.items())
        for name, (first, second) in turns if number % 2 == 0 else reversed(turns):
            rates[name][ALONE].append(first.rate(seconds))
            with busy_process():
                rates[name][BUSY].append(first.rate(seconds))
            second.start(seconds + 1)  # it goes on until the first one is done
            time.sleep(0.2)
            rates[name][TRAINING].append(first.rate(seconds))
            second.result()
    for pair in pairs.values():
        for trainer in pair:
            trainer.close()
    unit = median(rates["default"][ALONE])
    return {
        "cores": os.cpu_count(),
        "steps_per_second": round(unit, 2),
        "settings": {
            name: {beside: round(median(found) / unit, 2) for beside, found in by_company.items()}
            for name, by_company in rates.items()
        },
    }


class Trainer:
    """A process with a model under thread settings of its own, which waits until it is told."""

    def __init__(self, settings: dict[str, str]) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in SWITCHES} | settings
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--trainer"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, seconds: float) -> None:
        assert self.process.stdin is not None
        print(seconds, file=self.process.stdin, flush=True)

    def result(self) -> float:
        assert self.process.stdout is not None
        return float(json.loads(self.process.stdout.readline()))

    def rate(self, seconds: float) -> float:
        """Steps a second over `seconds` of training."""
        self.start(seconds)
        return self.result()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()


def train_when_told() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=576, intermediate_size=1536,
            num_hidden_layers=LAYERS, num_attention_heads=9, num_key_value_heads=3,
            tie_word_embeddings=True,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    ids = torch.randint(0, VOCABULARY, (TEXTS, TOKENS))

    def step() -> None:
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(2):
        step()
    print(0.0, flush=True)
    for line in sys.stdin:
        started, steps = time.perf_counter(), 0
        while time.perf_counter() - started < float(line):
            step()
            steps += 1
        print(steps / (time.perf_counter() - started), flush=True)


def markdown(results: dict[str, Any]) -> str:
    lines = [
        "| settings | alone | beside a busy process | beside a second training |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {found[ALONE]:.2f} | {found[BUSY]:.2f} | {found[TRAINING]:.2f} |"
        for name, found in results["settings"].items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
