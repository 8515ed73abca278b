"""Who takes part in the benchmark of the distillation loss; each runs in a process of its own.

`train_*` train the same student on the same sequences and return the seconds of each step.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stillhouse.lm.prompts import Example
    from stillhouse.soft_labels.targets import SparseTargets

VOCAB = 32_000
LENGTH = 256
BATCH = 8
SUPERVISED = {"full": LENGTH - 1, "sparse": LENGTH // 10}
TEMPERATURE = 2.0
ALPHA = 0.7
LEARNING_RATE = 1e-3
STUDENT = {"hidden_size": 256, "intermediate_size": 688, "layers": 4, "heads": 4}
TEACHER = {"hidden_size": 768, "intermediate_size": 2048, "layers": 12, "heads": 12}


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
    """Sequences, and the teacher's soft labels of their supervised tokens."""
    import torch

    from stillhouse.soft_labels.sampled import encode_sampled
    from stillhouse.soft_labels.store import LabelStore

    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(3, VOCAB, ((steps + 2) * BATCH, LENGTH), generator=generator)
    torch.save(tokens, folder / "tokens.pt")
    teacher, student = model_of(TEACHER, seed=1).eval(), model_of(STUDENT, seed=2)
    labels: dict[str, dict[str, Any]] = {case: {} for case in SUPERVISED}
    start = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(tokens), BATCH):
            logits = teacher(input_ids=tokens[first : first + BATCH]).logits[:, :-1]
            for index, rows in enumerate(logits):
                shifts = torch.rand(len(rows), generator=generator, dtype=torch.float64)
                held = encode_sampled(rows, TEMPERATURE, shifts=shifts)
                for case, supervised in SUPERVISED.items():
                    skipped = held.rows - supervised
                    labels[case][str(first + index)] = held.split([skipped, supervised])[1]
    seconds = time.perf_counter() - start
    for case, records in labels.items():
        LabelStore(folder / case, label_header()).write(records)
    size = sum(file.stat().st_size for file in (folder / "full").iterdir())
    return {
        "student_parameters": student.num_parameters(),
        "teacher_parameters": teacher.num_parameters(),
        "labelling_s": round(seconds, 1),
        "labelled_tokens": len(tokens) * (LENGTH - 1),
        "label_bytes_per_token": round(size / (len(tokens) * (LENGTH - 1)), 2),
        "torch_threads": torch.get_num_threads(),
    }


def label_header() -> Any:
    from stillhouse.soft_labels.records import LabelEncoding
    from stillhouse.soft_labels.store import ShardHeader

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
    import torch

    from stillhouse.config.training import TrainingSettings
    from stillhouse.lm.prompts import Example
    from stillhouse.soft_labels.codec import decode
    from stillhouse.soft_labels.records import LabelRecords
    from stillhouse.soft_labels.store import LabelStore
    from stillhouse.training.loop import TrainingData, train

    # The first and the last step are seen in part only: marks lie within a step.
    tokens = torch.load(folder / "tokens.pt")[: (steps + 1) * BATCH]
    store = LabelStore(folder / case, label_header())
    marks: list[float] = []

    def targets(batch: Sequence[Example]) -> SparseTargets:
        """Asked for once a step: from one time to the next is one step."""
        marks.append(time.perf_counter())
        return decode(LabelRecords.concatenate([store.get(e.key) for e in batch]), TEMPERATURE)

    train(
        model_of(STUDENT, seed=2),
        TrainingData(
            [
                Example(str(i), ids, LENGTH - SUPERVISED[case])
                for i, ids in enumerate(tokens.tolist())
            ],
            targets,
            TEMPERATURE,
            ALPHA,
        ),
        TrainingSettings(
            epochs=1,
            learning_rate=LEARNING_RATE,
            batch_size=BATCH,
        ),
        evaluate=lambda: {"score": 0.0},
        state_folder=Path(tempfile.mkdtemp(dir=folder)),
        fingerprint=case,
        pad_id=2,
        vocabulary=VOCAB,
    )
    return [end - start for start, end in itertools.pairwise(marks)]


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
