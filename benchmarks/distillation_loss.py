"""Training speed and memory of the distillation loss, beside its peers in the same run.

    python benchmarks/distillation_loss.py [--repetitions 5] [--json results.json]

Needs the `benchmark` extra (TRL). An 11M-parameter student on sequences of 256 tokens, 8 at a
time, in float32, with every token supervised ("full") and with the last 10% ("sparse"):

- ours: soft labels (12 draws a token) read from a shard, alpha * T^2 * KL + (1 - alpha) * CE;
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
import itertools
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stillhouse.offline import go_offline

VOCAB = 32_000
LENGTH = 256
BATCH = 8
SUPERVISED = {"full": LENGTH - 1, "sparse": LENGTH // 10}
TEMPERATURE = 2.0
ALPHA = 0.7
LEARNING_RATE = 1e-3
STUDENT = {"hidden_size": 256, "intermediate_size": 688, "layers": 4, "heads": 4}
TEACHER = {"hidden_size": 768, "intermediate_size": 2048, "layers": 12, "heads": 12}
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
    parser.add_argument("--json", type=Path, help="write the results here as well")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=SUPERVISED, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    go_offline()
    logging.disable(logging.WARNING)
    if arguments.measure:
        print(json.dumps(measure(arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = compare(arguments, Path(folder))
    text = json.dumps(results, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


def compare(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    prepared = child(arguments, folder, "prepare", "full")
    turns = [(name, case) for case in SUPERVISED for name in ("ours", "ce", "gkd")]
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
        for case in SUPERVISED
    }
    ratios["peak_rss_ratio"] = [
        run["ours_full"]["peak_rss"] / run["ce_full"]["peak_rss"] for run in runs
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
        return prepare(arguments.folder, arguments.steps)
    contender = {"ours": train_ours, "ce": train_ce, "gkd": train_gkd}[arguments.measure]
    seconds = contender(arguments.folder, arguments.steps + 1, arguments.case)[1:]
    return {
        "tokens_per_s": BATCH * LENGTH / statistics.median(seconds),
        "peak_rss": peak_rss() / 2**20,
    }


def peak_rss() -> int:
    """Peak resident bytes of this process alone: ru_maxrss would start from the parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def model_of(shape: dict[str, int], seed: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB,
            hidden_size=shape["hidden_size"],
            intermediate_size=shape["intermediate_size"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            max_position_embeddings=LENGTH,
            tie_word_embeddings=True,
            use_cache=False,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
    )


def prepare(folder: Path, steps: int) -> dict[str, Any]:
    """Sequences, and the teacher's soft labels of every token of every sequence."""
    import torch

    from stillhouse.teacher.label_codec import encode_sampled
    from stillhouse.teacher.label_shards import LabelStore

    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(3, VOCAB, ((steps + 1) * BATCH, LENGTH), generator=generator)
    torch.save(tokens, folder / "tokens.pt")
    teacher, student = model_of(TEACHER, seed=1).eval(), model_of(STUDENT, seed=2)
    labels = {}
    start = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(tokens), BATCH):
            logits = teacher(input_ids=tokens[first : first + BATCH]).logits[:, :-1]
            for index, rows in enumerate(logits):
                labels[str(first + index)] = encode_sampled(rows, TEMPERATURE, generator=generator)
    LabelStore(folder / "labels", label_header()).write(labels)
    seconds = time.perf_counter() - start
    size = sum(file.stat().st_size for file in (folder / "labels").iterdir())
    return {
        "student_parameters": student.num_parameters(),
        "teacher_parameters": teacher.num_parameters(),
        "labelling_s": round(seconds, 1),
        "labelled_tokens": len(tokens) * (LENGTH - 1),
        "label_bytes_per_token": round(size / (len(tokens) * (LENGTH - 1)), 2),
        "torch_threads": torch.get_num_threads(),
    }


def label_header() -> Any:
    from stillhouse.teacher.label_codec import LabelEncoding
    from stillhouse.teacher.label_shards import ShardHeader

    return ShardHeader("random teacher", "none", LabelEncoding("sampled", 12, (TEMPERATURE,)))


def examples(folder: Path, case: str) -> list[dict[str, Any]]:
    import torch

    tokens = torch.load(folder / "tokens.pt")
    labels = tokens.clone()
    labels[:, : LENGTH - SUPERVISED[case]] = -100
    return [
        {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": gold}
        for ids, gold in zip(tokens, labels, strict=True)
    ]


def stacked(rows: list[dict[str, Any]]) -> dict[str, Any]:
    import torch

    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def train_ours(folder: Path, steps: int, case: str) -> list[float]:
    """The Trainer's recipe (its optimizer, schedule, gradient clipping) around our loss."""
    import torch
    from transformers import get_linear_schedule_with_warmup

    from stillhouse.student.losses import distillation_loss
    from stillhouse.teacher.label_codec import LabelRecords, decode
    from stillhouse.teacher.label_shards import LabelStore

    model = model_of(STUDENT, seed=2).train()
    data = examples(folder, case)
    store = LabelStore(folder / "labels", label_header())
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, steps)
    seconds = []
    for step in range(steps):
        start = time.perf_counter()
        pairs = range(step * BATCH, (step + 1) * BATCH)
        batch = stacked([data[pair] for pair in pairs])
        records = []
        for pair in pairs:
            held = store.get(str(pair))
            skipped = LENGTH - 1 - SUPERVISED[case]
            records.append(held.split([skipped, held.rows - skipped])[1])
        targets = decode(LabelRecords.concatenate(records), TEMPERATURE)
        gold = batch["labels"][:, 1:]
        supervised = gold != -100
        hidden = model.model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
        parts = distillation_loss(
            hidden[:, :-1][supervised],
            model.lm_head.weight,
            gold[supervised],
            targets,
            alpha=ALPHA,
            temperature=TEMPERATURE,
            denominator=int(supervised.sum()),
        )
        parts.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    return seconds


def train_ce(folder: Path, steps: int, case: str) -> list[float]:
    from transformers import Trainer, TrainingArguments

    trainer = Trainer(
        model=model_of(STUDENT, seed=2),
        args=TrainingArguments(**trainer_settings(folder, steps)),
        train_dataset=examples(folder, case),
        data_collator=stacked,
    )
    return step_seconds(trainer)


def train_gkd(folder: Path, steps: int, case: str) -> list[float]:
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "<pad>": 2}, "<pad>")),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
    )
    trainer = GKDTrainer(
        model=model_of(STUDENT, seed=2),
        teacher_model=model_of(TEACHER, seed=1),
        # lmbda=0: the sequences given, none generated; beta=0: forward KL.
        args=GKDConfig(**trainer_settings(folder, steps), lmbda=0.0, beta=0.0, max_length=LENGTH),
        train_dataset=Dataset.from_list(
            [{k: v.tolist() for k, v in row.items()} for row in examples(folder, case)]
        ).with_format("torch"),
        data_collator=stacked,
        processing_class=tokenizer,
    )
    return step_seconds(trainer)


def trainer_settings(folder: Path, steps: int) -> dict[str, Any]:
    return {
        "output_dir": str(folder / "trainer"),
        "per_device_train_batch_size": BATCH,
        "max_steps": steps,
        "learning_rate": LEARNING_RATE,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "bf16": False,
        "gradient_checkpointing": False,
    }


def step_seconds(trainer: Any) -> list[float]:
    from transformers import TrainerCallback

    marks: list[float] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

    trainer.add_callback(Clock())
    trainer.train()
    return [end - start for start, end in itertools.pairwise(marks)]


if __name__ == "__main__":
    main()
