"""What training, labelling and answering really take at their highest, in a process of its own.

Each is run once with a model of next to no weights, so that libraries have their own memory; then
the kernel is told to forget the peak (proc(5), `clear_refs`), and it is run with the real model.
"""

from __future__ import annotations

import ctypes
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stillhouse.offline import go_offline

go_offline()

import torch  # noqa: E402

from stillhouse.config.dataset import ClassificationTask  # noqa: E402
from stillhouse.config.student import Student  # noqa: E402
from stillhouse.config.teacher import Adaptation, SoftLabels  # noqa: E402
from stillhouse.models import precision  # noqa: E402
from stillhouse.student.distil import distil_student  # noqa: E402
from stillhouse.tasks.common import rows_of  # noqa: E402
from stillhouse.tasks.kinds import open_tasks  # noqa: E402
from stillhouse.tasks.running import Runner  # noqa: E402
from stillhouse.teacher.adaptation import adapt_teacher  # noqa: E402
from stillhouse.teacher.labelling import label_pairs  # noqa: E402

BATCH, MAX_TOKENS = 8, 96
FOUND = "peaks.json"


def status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def peak_of(work: Callable[[], Any]) -> int:
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    floor = status("VmRSS")
    work()
    return status("VmHWM") - floor


def steps(weights: Path, dataset: Path, folder: Path) -> dict[str, Callable[[], Any]]:
    task = ClassificationTask(name="routing", kind="classification", sources=["t"], min_examples=1)
    adapted, cache = folder / "adapted", folder / "cache"
    for new in (adapted, folder / "labels", folder / "checkpoint"):
        new.mkdir(parents=True)
    how = Adaptation(layers="all", epochs=1, batch_size=BATCH, max_tokens=MAX_TOKENS, rank=8)
    labels = SoftLabels(encoding="top_k", batch_size=BATCH)
    student = Student(
        name="router", tasks=["routing"],
        init={"layers": layers_of(weights), "vocabulary": "full"},
        distillation={"epochs": 1, "batch_size": BATCH, "max_tokens": MAX_TOKENS},
    )  # fmt: skip
    found: dict[str, Any] = {}

    def adapt() -> None:
        adapt_teacher(
            weights, adapted, dataset, [task], how,
            scratch=folder / "scratch", cache=cache, fingerprint="x",
        )  # fmt: skip

    def label() -> None:
        found["labels"] = label_pairs(
            adapted, folder / "labels", dataset, [task], labels, [2.0],
            teacher_digest="x", max_tokens=MAX_TOKENS, top_layers=None, cache=cache,
        )  # fmt: skip

    def distil() -> None:
        distil_student(
            adapted, folder / "labels", found["labels"].headers, folder / "checkpoint", dataset,
            [task], student, scratch=folder / "scratch2", fingerprint="x",
        )  # fmt: skip

    def serve() -> None:
        (kind,) = open_tasks(dataset, [task])
        rows = [row for batch in rows_of(dataset, "routing", "train") for row in batch]
        Runner(folder / "checkpoint", dataset, MAX_TOKENS).predict(kind, rows)

    return {
        "training, LoRA": adapt,
        "labelling": label,
        "training, full": distil,
        "serving, fp16": serve,
    }


def layers_of(weights: Path) -> int:
    return int(json.loads((weights / "config.json").read_text())["num_hidden_layers"])


def main(tiny: Path, real: Path, dataset: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    precision.fast_dtype = lambda _: torch.float32  # type: ignore[assignment]
    for work in steps(tiny, dataset, folder / "light").values():
        work()
    found = {name: peak_of(work) for name, work in steps(real, dataset, folder / "heavy").items()}
    (folder / FOUND).write_text(json.dumps(found))
