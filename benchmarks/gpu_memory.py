"""What each kind of work takes of a GPU's memory, beside what `stillhouse doctor` says it takes.

    python benchmarks/gpu_memory.py --size 1.7b
    python benchmarks/gpu_memory.py --size 4b --batch 8 --tokens 1024 --work /dev/shm/models

Teachers are random models in the measures of well-known ones, with a vocabulary as large as
theirs; texts have a token a character. A teacher is adapted, labels, and a student that is cut from
it is trained, quantized and answers, by the functions that the graph calls: once for a task whose
answers are classes, once for one whose answers are written (with alignment, and two micro-batches a
step). `held` is the most that torch's allocator gave away at once, `reserved` the most that it took
from the GPU for that, gaps included; `said` is the formula's, and `off` how far it is from `held`.
`beside` is what the driver counts in use beyond what torch reserved: the context, libraries'
kernels, and other processes.

Needs a CUDA device; `--work` needs room for three times the teacher.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stillhouse.offline import go_offline
from stillhouse.threads import be_considerate

go_offline()
be_considerate()

import torch  # noqa: E402
from random_models import QUEUES, SIZES, VOCABULARY, make_teacher, pairs, write_dataset  # noqa: E402

from stillhouse.config.dataset import ClassificationTask, ExtractionTask, Task  # noqa: E402
from stillhouse.config.student import Student  # noqa: E402
from stillhouse.config.teacher import Adaptation, SoftLabels  # noqa: E402
from stillhouse.lm.continuous import Continuous, Row  # noqa: E402
from stillhouse.lm.decoder import SERVED_ROWS, roomy  # noqa: E402
from stillhouse.lm.generation import READ_TOKENS  # noqa: E402
from stillhouse.lm.prompts import Encoder  # noqa: E402
from stillhouse.models.loading import load_tokenizer, pick_device, pick_dtype  # noqa: E402
from stillhouse.quantize.student import quantize_student  # noqa: E402
from stillhouse.selection.memory import (  # noqa: E402
    Load,
    Need,
    adapter_training,
    full_training,
    labelling,
    serving,
)
from stillhouse.selection.plan import largest_batch  # noqa: E402
from stillhouse.selection.shape import Shape, shape_of  # noqa: E402
from stillhouse.student.distil import distil_student  # noqa: E402
from stillhouse.tasks.common import rows_of, training_examples  # noqa: E402
from stillhouse.tasks.kinds import open_tasks  # noqa: E402
from stillhouse.tasks.running import Runner  # noqa: E402
from stillhouse.teacher.adaptation import adapt_teacher  # noqa: E402
from stillhouse.teacher.labelling import label_pairs  # noqa: E402

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Measured:
    """Bytes and seconds of one kind of work, of which 0 are `said` where no formula speaks of it;
    `rate` in tokens a second where training tells it."""

    work: str
    said: int
    held: int
    reserved: int
    beside: int
    seconds: float
    rate: float | None = None

    @property
    def off(self) -> float:
        return self.said / self.held - 1 if self.held and self.said else 0.0


def measured(name: str, said: Need, work: Callable[[], float | None]) -> Measured:
    """Run `work`, which may return tokens a second."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before, started = torch.cuda.memory_allocated(), time.monotonic()
    rate = work()
    torch.cuda.synchronize()
    seconds = time.monotonic() - started
    free, total = torch.cuda.mem_get_info()
    return Measured(
        name, said.size, torch.cuda.max_memory_allocated() - before,
        torch.cuda.max_memory_reserved(), total - free - torch.cuda.memory_reserved(),
        round(seconds, 2), rate,
    )  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """All of one teacher and one student, in `folder`."""

    folder: Path
    options: argparse.Namespace

    @property
    def tasks(self) -> tuple[Task, Task]:
        fields = {"item": {"values": list(QUEUES)}, "gate": "string", "note": "string"}
        return (
            ClassificationTask(name="queue", kind="classification", sources=["t"], min_examples=1),
            ExtractionTask.model_validate(
                {"name": "order", "kind": "extraction", "sources": ["t"], "fields": fields,
                 "max_answer_tokens": 96, "answers": "a"}
            ),
        )  # fmt: skip

    def load(self, task: Task, teacher: Path, batch: int) -> Load:
        (kind,) = open_tasks(self.folder / "pairs.parquet", [task])
        encoder = Encoder(load_tokenizer(teacher), self.options.tokens)
        examples = training_examples(kind, self.folder / "pairs.parquet", encoder).examples
        compute = pick_dtype(pick_device()).itemsize
        return Load(*largest_batch(examples, batch, packed=True), compute=compute, gpu=True)

    def steps(self, task: Task) -> Iterator[tuple[str, Callable[[], Need], Callable[[], Any]]]:
        """Each with what is said of it, once the steps before it were run."""
        o, folder = self.options, self.folder / task.name
        weights, dataset = self.folder / "teacher", self.folder / "pairs.parquet"
        adapted, labels, cache = folder / "adapted", folder / "labels", folder / "cache"
        checkpoint, quantized = folder / "checkpoint", folder / "quantized"
        for new in (adapted, labels, checkpoint, quantized):
            new.mkdir(parents=True)
        written = isinstance(task, ExtractionTask)
        top = None if written else min(8, shape_of("t", weights).layers)
        how = Adaptation(layers=top or "all", epochs=1, batch_size=o.batch, max_tokens=o.tokens)
        student = Student(
            name="s", tasks=[task.name],
            init={"layers": o.layers, "vocabulary": "full"},
            distillation={"epochs": 2, "batch_size": o.batch, "max_tokens": o.tokens,
                          "accumulation": 2 if written else 1},
            quantization={"calibration_texts": 32},
        )  # fmt: skip
        found: dict[str, Any] = {}
        at_once = SERVED_ROWS["cuda"]

        def shape(of: Path) -> Shape:
            return shape_of("m", of)

        def adapt() -> float:
            facts = adapt_teacher(
                weights, adapted, dataset, [task], how,
                scratch=folder / "scratch", cache=cache, fingerprint="x",
            )  # fmt: skip
            return facts.tokens_per_epoch / facts.history[-1]["seconds"]

        def label() -> None:
            found["labels"] = label_pairs(
                adapted, labels, dataset, [task], SoftLabels(batch_size=o.batch), [2.0],
                teacher_digest="x", max_tokens=o.tokens, top_layers=top, cache=cache,
            )  # fmt: skip

        def distil() -> float:
            facts = distil_student(
                adapted, labels, found["labels"].headers, checkpoint, dataset, [task], student,
                scratch=folder / "scratch2", fingerprint="x",
            )  # fmt: skip
            return facts.tokens_per_epoch / facts.history[-1]["seconds"]

        def quantize() -> None:
            quantize_student(checkpoint, quantized, dataset, [task], student)

        def answer(model: Path) -> None:
            (kind,) = open_tasks(dataset, [task])
            rows = [r for batch in rows_of(dataset, task.name, "train") for r in batch]
            runner = Runner(model, dataset, o.tokens)
            if not written:
                runner.predict(kind, rows[:at_once])
                return
            prompts = runner.encoder.prompts(rows[:at_once])
            writer = Continuous(
                runner.model, end_ids=[runner.encoder.end_id],
                vocabulary=len(runner.encoder.tokenizer), rows=at_once,
            )  # fmt: skip
            waiting = [Row(e.ids[: e.response_start], 96) for e in prompts]
            while waiting or writer.rows:
                taken = writer.fitting(waiting)
                if taken:
                    writer.admit(waiting[:taken])
                    del waiting[:taken]
                if writer.rows:
                    writer.step()

        def said(need: Callable[[Shape, Load], Need], of: Path, batch: int) -> Callable[[], Need]:
            return lambda: need(shape(of), self.load(task, adapted, batch))

        def learning(of: Shape, load: Load) -> Need:
            teacher = shape(adapted) if written else None
            return full_training(
                of, replace(load, accumulation=2 if written else 1), aligned=written,
                teacher=teacher,
            )  # fmt: skip

        def served(bits: Any) -> Callable[[Shape, Load], Need]:
            rows, tokens = (SERVED_ROWS["cuda"], roomy(o.tokens + 96)) if written else (0, 0)
            return lambda of, load: serving(
                of, bits, replace(load, rows=min(load.rows, READ_TOKENS)),
                sequences=rows, tokens=tokens,
            )  # fmt: skip

        yield (
            "adapting",
            lambda: adapter_training(
                shape(weights), self.load(task, weights, o.batch), rank=how.rank,
                layers=top or shape(weights).layers,
            ),
            adapt,
        )  # fmt: skip
        yield (
            "labelling",
            said(lambda s, load: labelling(s, load, classes=not written), adapted, o.batch),
            label,
        )
        yield "training", said(learning, checkpoint, o.batch), distil
        yield "quantizing", _nothing, quantize
        # Classes in batches of 16 (see `token_probabilities`), answers as a server writes them.
        few = at_once if written else 16
        yield "answering, 16 bits", said(served(16), checkpoint, few), lambda: answer(checkpoint)
        yield "answering, 4 bits", said(served(4), checkpoint, few), lambda: answer(quantized)


def run(folder: Path, options: argparse.Namespace) -> Iterator[tuple[Measured, Need]]:
    """Goes on after what fails, which is told."""
    bench = Bench(folder, options)
    make_teacher(folder / "teacher", options.size, options.vocabulary)
    characters = options.tokens - 130
    write_dataset(folder / "pairs.parquet", list(pairs(bench.tasks, options.pairs, characters)))
    for task in bench.tasks:
        if options.task not in (None, task.name):
            continue
        for name, said, work in bench.steps(task):
            wanted = None
            try:
                # What is said of a student is known once it was cut.
                need: list[Need] = []
                late = name == "training"
                if not late:
                    need.append(said())
                wanted = measured(f"{task.name}: {name}", need[0] if need else _nothing(), work)
                if late:
                    need.append(said())
                    wanted = replace(wanted, said=need[0].size)
                yield wanted, need[0]
            except Exception:
                print(f"{task.name}: {name} failed\n{traceback.format_exc()}", flush=True)


def _nothing() -> Need:
    return Need("training, full", "", ((),), "")


def told(found: Measured, need: Need) -> str:
    gib = 1 << 30
    rate = f"{found.rate:,.0f} tok/s" if found.rate else ""
    line = (
        f"{found.work:26} said {found.said / gib:6.2f}  held {found.held / gib:6.2f}"
        f"  off {found.off:+4.0%}  reserved {found.reserved / gib:6.2f}"
        f"  beside {found.beside / gib:5.2f}  {found.seconds:6.1f} s {rate}"
    )
    terms = ", ".join(f"{t.name} {t.size / gib:.2f}" for t in need.terms)
    return f"{line}\n    {terms}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--size", choices=SIZES, default="1.7b")
    parser.add_argument("--layers", type=int, default=6, help="of the student")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=512, help="of a text at most")
    parser.add_argument("--pairs", type=int, default=64, help="of each task")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY)
    parser.add_argument("--task", help="queue (classes) or order (written); both by default")
    parser.add_argument("--work", type=Path, help="where models are written for a while")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "gpu_memory.json")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA device here")
    results = []
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        for found, need in run(Path(folder), options):
            results.append({**asdict(found), "off": round(found.off, 3)})
            print(told(found, need), flush=True)
            # However it ends, what was measured is there.
            about = {"gpu": torch.cuda.get_device_name(), "size": options.size, "work": results}
            options.json.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
