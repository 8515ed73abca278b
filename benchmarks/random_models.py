"""Random models in the measures of well-known ones, and pairs of texts to try them on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from stillhouse.config.dataset import ExtractionTask, Task
from stillhouse.models.loading import pick_device
from stillhouse.tasks.classification import class_token

VOCABULARY = 151_936
# Width, inner width, layers, heads, heads of keys, numbers a head, one embedding for both ends.
SIZES = {
    "tiny": (64, 128, 4, 4, 2, 16, True),
    "0.6b": (1024, 3072, 28, 16, 8, 128, True),
    "1.7b": (2048, 6144, 28, 16, 8, 128, True),
    "4b": (2560, 9728, 36, 32, 8, 128, True),
    "8b": (4096, 12288, 36, 32, 8, 128, False),
}
QUEUES, PLACES = ("parts", "stores", "desk", "yard"), ("north", "south", "east", "west")


def make_teacher(folder: Path, size: str, vocabulary: int = VOCABULARY) -> None:
    """A random Qwen3 with a tokenizer of one token a byte, and as many more that no text has."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    never = (f"{a}{b}{c}" for a in alphabet for b in alphabet for c in alphabet)
    words = [*alphabet, *(next(never) for _ in range(vocabulary - 3 - len(alphabet)))]
    backend = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    hidden, inner, layers, heads, keys, width, tied = SIZES[size]
    config = Qwen3Config(
        hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=keys, head_dim=width,
        tie_word_embeddings=tied, vocab_size=len(tokenizer), max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        dtype=torch.bfloat16,
    )  # fmt: skip
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(pick_device()):
            model = Qwen3ForCausalLM(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def pairs(tasks: tuple[Task, Task], count: int, characters: int) -> Iterator[dict[str, Any]]:
    """So many training pairs of each task, and a few to validate and test on."""
    for task in tasks:
        written = isinstance(task, ExtractionTask)
        for split, n in (("train", count), ("validation", 8), ("test", 8)):
            for i in range(n):
                queue, place = QUEUES[i % 4], PLACES[i // 4 % 4]
                text = f"{split} {i}: {i * 37 % 100} pieces of {queue} to {place} "
                answer = {"item": queue, "gate": place, "note": text[:40].strip()}
                yield {
                    "pair_id": f"{task.name}-{split}-{i:04}", "task": task.name,
                    "doc_id": f"d-{split}-{i}", "group_id": f"g-{split}-{i}", "source": "t",
                    "instruction": task.instruction,
                    "input": (text * (characters // len(text) + 1))[:characters],
                    "response": json.dumps(answer) if written else class_token(task.name, queue),
                    "label": None if written else queue, "origin": "gold",
                    "confidentiality": "internal", "created_at": None, "slices": [],
                    "split": split,
                }  # fmt: skip


def write_dataset(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    from stillhouse.dataset.pairs import pair_schema
    from stillhouse.storage.tables import write_table

    schema = pair_schema().append(pa.field("split", pa.string()))
    write_table(path, pa.Table.from_pylist(rows, schema=schema))
