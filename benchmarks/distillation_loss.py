"""Training speed and memory of the distillation loss, beside its peers in the same run.

    python benchmarks/distillation_loss.py [--repetitions 5]

Needs the `bench` extra (TRL). An 11M-parameter student on sequences of 256 tokens, 8 at a
time, in float32, with every token supervised ("full") and with the last 10% ("sparse"):

- ours: `stillhouse.training.loop`, as the graph runs it: soft labels (12 draws a token) read
  from a shard, alpha * T^2 * KL + (1 - alpha) * CE;
- ce: the Hugging Face Trainer with plain cross-entropy, no teacher at all;
- gkd: TRL's GKDTrainer with lambda 0, on the same sequences, its teacher 10 times larger.

Labelling happens once, before, and is not in ours: a label is made once and read in every epoch
of every student, where GKD asks its teacher each time. Its cost is reported beside
(`labelling_s`). The teacher has random weights, so that its distribution is broad and a row takes
nearly all of its 12 entries: the dearest case for ours.

Each measurement is a process of its own: its median step after a warm-up, and its peak resident
memory. Contenders take turns, forwards and backwards; a ratio is taken within a repetition, and
the median over repetitions is what counts. Keys: vs_* are our tokens per second over the peer's
(higher is better), peak_rss_ratio our peak over the CE Trainer's (lower is better; full).
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import distillation_loss_contenders as contenders
from measuring import peak_rss_mb

from stillhouse.offline import go_offline
from stillhouse.storage.files import write_json

HERE = Path(__file__).resolve().parent
TARGETS = {
    "vs_ce_full": (">=", 1.0),
    "vs_ce_sparse": (">=", 2.0),
    "vs_gkd_full": (">=", 3.0),
    "vs_gkd_sparse": (">=", 6.0),
    "peak_rss_ratio": ("<=", 0.65),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="of ours and ce; gkd takes half")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "distillation_loss.json")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=contenders.SUPERVISED, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    go_offline()
    logging.disable(logging.WARNING)
    if arguments.measure:
        print(json.dumps(measure(arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = compare(arguments, Path(folder))
    write_json(arguments.json, results)
    print(markdown(results))


def compare(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    prepared = child(arguments, folder, "prepare", "full")
    turns = [(name, case) for case in contenders.SUPERVISED for name in ("ours", "ce", "gkd")]
    runs: list[dict[str, Any]] = []
    for repetition in range(arguments.repetitions):
        measured = {
            f"{name}_{case}": child(arguments, folder, name, case)
            for name, case in (turns if repetition % 2 == 0 else reversed(turns))
        }
        runs.append(measured)
        speeds = ", ".join(f"{k} {v['tokens_per_s']:.0f}" for k, v in sorted(measured.items()))
        print(f"{repetition + 1}/{arguments.repetitions} tokens/s: {speeds}", file=sys.stderr)
    ratios = {
        f"vs_{peer}_{case}": [
            run[f"ours_{case}"]["tokens_per_s"] / run[f"{peer}_{case}"]["tokens_per_s"]
            for run in runs
        ]
        for peer in ("ce", "gkd")
        for case in contenders.SUPERVISED
    }
    ratios["peak_rss_ratio"] = [
        run["ours_full"]["peak_mb"] / run["ce_full"]["peak_mb"] for run in runs
    ]
    return {
        **{key: round(statistics.median(values), 3) for key, values in ratios.items()},
        "targets": {key: f"{sign} {value}" for key, (sign, value) in TARGETS.items()},
        "spread": {k: [round(min(v), 3), round(max(v), 3)] for k, v in ratios.items()},
        "medians": {
            name: {k: round(statistics.median(r[name][k] for r in runs), 1) for k in runs[0][name]}
            for name in sorted(runs[0])
        },
        "repetitions": len(runs),
        **prepared,
    }


def child(arguments: argparse.Namespace, folder: Path, name: str, case: str) -> dict[str, Any]:
    steps = max(2, arguments.steps // 2) if name == "gkd" else arguments.steps
    command = [
        sys.executable, __file__, "--measure", name, "--case", case,
        "--folder", str(folder), "--steps", str(steps),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} ({case}) failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """What one process finds: seconds of each step become tokens per second."""
    if arguments.measure == "prepare":
        return contenders.prepare(arguments.folder, arguments.steps)
    contender = getattr(contenders, f"train_{arguments.measure}")
    seconds = contender(arguments.folder, arguments.steps + 1, arguments.case)[1:]
    return {
        "tokens_per_s": contenders.BATCH * contenders.LENGTH / statistics.median(seconds),
        "peak_mb": peak_rss_mb(),
    }


def markdown(results: dict[str, Any]) -> str:
    lines = ["| ratio | target | median | lowest to highest |", "|---|--:|--:|--:|"]
    for key, target in results["targets"].items():
        low, high = results["spread"][key]
        lines.append(f"| {key} | {target} | {results[key]:.2f} | {low:.2f} to {high:.2f} |")
    lines += ["", "| contender | tokens/s | peak MB |", "|---|--:|--:|"]
    for name, run in results["medians"].items():
        lines.append(f"| {name} | {run['tokens_per_s']:,.0f} | {run['peak_mb']:,.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
