"""GPTQ through llm-compressor, written in the compressed-tensors format.

Method: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers", 2022. Plain transformers and vLLM load the result.

What dominates the size: only the linear layers are quantized. Embeddings stay in 16 bits, and a
small student has many: of six layers of SmolLM2-135M (21 M weights, 12 MB at 4 bits with scales)
the whole vocabulary's embedding takes 57 MB, one pruned to 5,000 tokens 5 MB. Prune the vocabulary
before asking for fewer bits. On a CPU, transformers unpacks the weights at the first forward
pass: the size on disk is the gain there, not speed.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stillhouse.errors import UserError
from stillhouse.models.loading import load_model, load_tokenizer, pick_device
from stillhouse.models.weights import tensor_headers, weight_bytes, weight_files
from stillhouse.progress import no_bars, track
from stillhouse.storage.files import read_json, write_json

logger = logging.getLogger("stillhouse")

GROUP_SIZES = (128, 64, 32)  # what vLLM has kernels for

# Not our linear layers' business, or said better by us.
HUSHED = ("No accelerator available", "Disabling tokenizer parallelism")


@dataclass(frozen=True)
class QuantizationInfo:
    """A quantized checkpoint: `layers` linear layers at `bits` bits, one scale every `group_size`
    inputs (None: one for each output). `bytes` are the weights' on disk; `warnings` is what
    llm-compressor had to say, such as layers it could only round."""

    bits: int
    group_size: int | None
    layers: int
    bytes: int
    calibration_tokens: int
    warnings: tuple[str, ...]


def quantize_gptq(
    checkpoint: Path,
    target: Path,
    calibration: Sequence[Sequence[int]],
    *,
    bits: Literal[4, 8] = 4,
    group_size: int | None = None,
    dampening: float = 0.01,
    batch_size: int = 16,
) -> QuantizationInfo:
    """Quantize the linear layers of `checkpoint` into the empty folder `target`.

    `calibration` holds the token ids of real training texts, as the student is fed them: GPTQ
    shifts each column's rounding error onto the columns that these texts use less. `group_size`
    defaults to the largest that divides every layer's inputs; `dampening` is added to the
    Hessian's diagonal, as a share of its mean (raise it when a warning speaks of inversion).

    Works on the GPU when there is one. Nothing is drawn at random: the same checkpoint and texts
    give the same bytes on the same machine. Raises `UserError` without calibration texts and for a
    group size that does not fit the model.
    """
    texts = [list(ids) for ids in calibration if len(ids) > 0]
    if not texts:
        raise UserError(
            f"{checkpoint}: no texts to calibrate its quantization with",
            remedy="raise `students[].quantization.calibration_texts`, or add training texts.",
        )
    widths = input_widths(checkpoint)
    group_size = choose_group_size(widths, group_size)
    batches = equal_lengths(texts, batch_size)
    tokens = sum(len(batch) * len(batch[0]) for batch in batches)
    logger.info(
        "GPTQ: %d linear layers to %d bits, groups of %s, %d texts (%d tokens)",
        len(widths), bits, group_size or "all inputs", len(texts), tokens,
    )  # fmt: skip
    with _quiet_compressor(len(widths)) as complaints, _nothing_remembered():
        _compress(checkpoint, target, batches, bits, group_size, dampening)
        _halve_floats(target)
        if (checkpoint / "vocabulary").exists():
            shutil.copytree(checkpoint / "vocabulary", target / "vocabulary")
    return QuantizationInfo(
        bits=bits,
        group_size=group_size,
        layers=len(widths),
        bytes=weight_bytes(target),
        calibration_tokens=tokens,
        warnings=tuple(complaints),
    )


def input_widths(checkpoint: Path) -> dict[str, int]:
    """The number of inputs of each linear layer inside the model's layers, by weight name."""
    return {
        name: header["shape"][1]
        for file in weight_files(checkpoint)
        for name, header in tensor_headers(file).items()
        if ".layers." in name and name.endswith(".weight") and len(header["shape"]) == 2
    }


def choose_group_size(widths: dict[str, int], asked: int | None = None) -> int | None:
    """The largest group size that divides every width, or None for one group a row.

    Raises `UserError` when `asked` for one that does not fit.
    """
    if asked is None:
        return next((g for g in GROUP_SIZES if all(w % g == 0 for w in widths.values())), None)
    for name, width in widths.items():
        if width % asked:
            raise UserError(
                f"students[].quantization.group_size: {asked} does not divide the {width} inputs "
                f"of {name}",
                remedy=f"leave it out: {choose_group_size(widths)} is chosen from the model.",
            )
    return asked


def equal_lengths(texts: list[list[int]], batch_size: int) -> list[list[list[int]]]:
    """Batches of texts of one length each, for padding would be calibrated on like words.

    Texts are sorted by length and lose what the shortest of their batch lacks, at the start: the
    end is where the student answers.
    """
    ordered = sorted(texts, key=len)
    batches = [ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)]
    return [[ids[len(ids) - len(batch[0]) :] for ids in batch] for batch in batches]


def _compress(
    checkpoint: Path,
    folder: Path,
    batches: list[list[list[int]]],
    bits: int,
    group_size: int | None,
    dampening: float,
) -> None:
    import torch
    from llmcompressor import oneshot, reset_session
    from llmcompressor.modifiers.gptq import GPTQModifier
    from torch.utils.data import DataLoader

    # float32 even on a GPU: students are small, and GPTQ solves its systems in float32 anyway.
    model = load_model(checkpoint, pick_device(), torch.float32)
    tokenizer = load_tokenizer(checkpoint)
    # A zero point for each group at 4 bits, for 1 % more bytes: 13 % less error in a layer's output
    # than with the symmetric grid, and 0.07 instead of 0.24 nats a token of divergence on SmolLM2
    # as unpacked from Q4_1, which has zero points itself. At 8 bits there is nothing to gain, and
    # vLLM's fast kernels take none.
    weights: dict[str, Any] = {"num_bits": bits, "type": "int", "symmetric": bits == 8}
    weights |= {"strategy": "channel"}
    if group_size is not None:
        weights |= {"strategy": "group", "group_size": group_size}
    inputs = [{"input_ids": torch.tensor(batch)} for batch in batches]
    oneshot(
        model=model,
        tokenizer=tokenizer,
        dataset=DataLoader(inputs, batch_size=None),
        recipe=GPTQModifier(
            config_groups={"linear": {"targets": ["Linear"], "weights": weights}},
            ignore=["lm_head"],
            dampening_frac=dampening,
        ),
        pipeline="sequential",
        num_calibration_samples=sum(map(len, batches)),
    )
    model.save_pretrained(folder, save_compressed=True)
    tokenizer.save_pretrained(folder)
    reset_session()  # it would hold on to the model


def _halve_floats(folder: Path) -> None:
    """Store what is not quantized (embeddings, norms, scales) in bfloat16.

    Its rounding (2^-9) is lost in that of the 4 bits beside it. After compression, not before:
    the packed integers were solved for the float32 scales. float16 would round finer but can
    overflow where the model is served.
    """
    import torch
    from safetensors.torch import load_file, save_file

    for file in weight_files(folder):
        tensors = load_file(file)
        halved = {
            name: t.to(torch.bfloat16) if t.dtype == torch.float32 else t
            for name, t in tensors.items()
        }
        save_file(halved, file, metadata={"format": "pt"})
    write_json(folder / "config.json", read_json(folder / "config.json") | {"dtype": "bfloat16"})


@contextmanager
def _nothing_remembered() -> Iterator[None]:
    """llm-compressor traces functions that hold the model, and torch.fx remembers each of them for
    good: with it the model, in the memory of a GPU, too."""
    from torch.fx import _symbolic_trace

    remembered: dict[Any, Any] = getattr(_symbolic_trace, "_wrapped_fns_to_patch", {})
    before = set(remembered)
    try:
        yield
    finally:
        for traced in set(remembered) - before:
            del remembered[traced]


@contextmanager
def _quiet_compressor(total: int) -> Iterator[list[str]]:
    """Turn llm-compressor's bars and log into our progress lines; yields its warnings as they come.

    It writes to the terminal at import and for every layer, and switches the tokenizers' threads
    off for the rest of the process.
    """
    os.environ.setdefault("LLM_COMPRESSOR_LOG_LEVEL", "CRITICAL")
    threads = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = threads or "false"
    import llmcompressor  # noqa: F401 (sets its log up at import)
    from loguru import logger as compressor_log

    found: list[str] = []
    ticks = track(range(total), "Quantizing", unit="layers")

    def listen(message: Any) -> None:
        text, level = message.record["message"], message.record["level"].name
        if match := re.match(r"Quantizing (\d+) module", text):
            for _ in range(int(match[1])):
                next(ticks, None)
        elif level in ("WARNING", "ERROR") and not text.startswith(HUSHED):
            found.append(text)
            logger.warning("GPTQ: %s", text)

    sink = compressor_log.add(listen, level="INFO", filter="llmcompressor")
    tracer = logging.getLogger("torch.fx._symbolic_trace")
    try:
        with no_bars(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attempting to save a model with offloaded")
            tracer.setLevel(logging.ERROR)  # it warns of a name for developers of torch
            yield found
    finally:
        tracer.setLevel(logging.NOTSET)
        compressor_log.remove(sink)
        if threads is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
