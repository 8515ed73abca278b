import gc
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer

from stillhouse.errors import UserError
from stillhouse.lm.prompts import Example
from stillhouse.lm.scoring import token_probabilities
from stillhouse.models.loading import load_model
from stillhouse.models.weights import count_parameters, weight_bytes
from stillhouse.quantize import gptq
from stillhouse.quantize.gptq import (
    QuantizationInfo,
    choose_group_size,
    equal_lengths,
    input_widths,
    quantize_gptq,
)

# What a user runs: transformers alone, in a process of its own.
PLAIN = """
import sys, torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
ids = load_file(sys.argv[1])
for folder in sys.argv[3:]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = {k: model(v[None]).logits[0].contiguous() for k, v in ids.items()}
    save_file(logits, f"{sys.argv[2]}/{sys.argv.index(folder)}")
    assert model.dtype == torch.float32
assert not any(name.split(".")[0] == "llmcompressor" for name in sys.modules)
"""


@pytest.fixture(scope="module")
def checkpoint(
    write_tiny_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Random, but sure of its answers, so that errors show."""
    folder = write_tiny_model(
        tmp_path_factory.mktemp("student") / "checkpoint",
        hidden_size=192, intermediate_size=320, initializer_range=0.12,
    )  # fmt: skip
    (folder / "vocabulary").mkdir()
    (folder / "vocabulary" / "mapping").write_text("of a pruned one")
    return folder


@pytest.fixture(scope="module")
def calibration(checkpoint: Path, helpdesk: Path) -> list[list[int]]:
    lines = (helpdesk / "tickets.jsonl").read_text(encoding="utf-8").splitlines()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return [tokenizer(json.loads(line)["body"]).input_ids[:64] for line in lines[:32]]


@pytest.fixture(scope="module")
def four_bits(checkpoint: Path) -> Path:
    folder = checkpoint.parent / "four"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def four_bits_info(
    checkpoint: Path, four_bits: Path, calibration: list[list[int]]
) -> QuantizationInfo:
    return quantize_gptq(checkpoint, four_bits, calibration)


def quantized(checkpoint: Path, folder: Path, *arguments: Any, **options: Any) -> QuantizationInfo:
    folder.mkdir()
    return quantize_gptq(checkpoint, folder, *arguments, **options)


def plain_logits(ids: list[list[int]], scratch: Path, *folders: Path) -> list[list[torch.Tensor]]:
    """Of each folder's model, in turn, on each text."""
    from safetensors.torch import save_file

    save_file({f"{i:03}": torch.tensor(row) for i, row in enumerate(ids)}, scratch / "ids")
    command = [sys.executable, "-c", PLAIN, str(scratch / "ids"), str(scratch), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    files = [scratch / str(number) for number in range(3, 3 + len(folders))]
    return [[tensor for _, tensor in sorted(load_file(f).items())] for f in files]


def divergence(expected: list[torch.Tensor], found: list[torch.Tensor]) -> float:
    """Mean KL divergence (nats a token)."""
    total = [
        torch.nn.functional.kl_div(
            f.log_softmax(-1), e.log_softmax(-1), log_target=True, reduction="none"
        ).sum(-1)
        for e, f in zip(expected, found, strict=True)
    ]
    return float(torch.cat(total).mean())


def test_transformers_alone_loads_it_and_answers_alike(
    checkpoint: Path,
    calibration: list[list[int]],
    four_bits: Path,
    four_bits_info: QuantizationInfo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    constructor = vars(tqdm)["__init__"]
    models: list[weakref.ref[Any]] = []

    def load(*given: Any) -> Any:
        model = load_model(*given)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr(gptq, "load_model", load)
    eight = quantized(checkpoint, tmp_path / "eight", calibration[8:], bits=8)

    # llm-compressor leaves nothing behind: no log folder, no noise, no changed switch, no model.
    gc.collect()
    assert [model() for model in models] == [None]
    assert [f.name for f in tmp_path.iterdir()] == ["eight"]
    assert "\r" not in "".join(capfd.readouterr())
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    assert vars(tqdm)["__init__"] is constructor

    held_out = calibration[:8]
    folders = (checkpoint, tmp_path / "eight", four_bits)
    expected, of_eight, of_four = plain_logits(held_out, tmp_path, *folders)
    anything = [torch.zeros_like(logits) for logits in expected]
    unlike = divergence(expected, anything)
    assert 0 < divergence(expected, of_eight) < 0.01 * unlike
    assert divergence(expected, of_eight) < divergence(expected, of_four) < 0.1 * unlike
    assert four_bits_info.bytes < eight.bytes < weight_bytes(checkpoint)


def test_what_is_written_is_small_and_complete(
    checkpoint: Path, four_bits: Path, four_bits_info: QuantizationInfo
) -> None:
    info = four_bits_info
    assert (info.bits, info.group_size, info.layers, info.warnings) == (4, 64, 14, ())
    assert info.bytes == weight_bytes(four_bits)
    assert count_parameters(four_bits) == count_parameters(checkpoint)
    tensors = load_file(four_bits / "model.safetensors")
    assert {t.dtype for t in tensors.values()} <= {
        torch.bfloat16, torch.int32, torch.int64, torch.int8
    }  # fmt: skip
    assert sum("weight_packed" in name for name in tensors) == 14
    assert "lm_head.weight" not in tensors  # tied: stored once
    embedding = tensors["model.embed_tokens.weight"]
    linear = sum(t.nbytes for name, t in tensors.items() if ".layers." in name)
    assert info.bytes - embedding.nbytes - linear < 20_000
    for name in ("tokenizer.json", "generation_config.json", "recipe.yaml", "vocabulary/mapping"):
        assert (four_bits / name).exists()


def test_errors_are_smaller_than_those_of_rounding(
    checkpoint: Path,
    calibration: list[list[int]],
    four_bits: Path,
    four_bits_info: QuantizationInfo,
) -> None:
    """GPTQ against rounding to the best grid of each group, on the first layer's real inputs."""
    full = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    quantized = AutoModelForCausalLM.from_pretrained(four_bits, dtype=torch.float32)
    batch = torch.tensor(equal_lengths(calibration, 64)[0])
    inputs: dict[str, torch.Tensor] = {}
    for name in ("self_attn.q_proj", "mlp.gate_proj"):
        full.model.layers[0].get_submodule(name).register_forward_pre_hook(
            lambda _, args, name=name: inputs.__setitem__(name, args[0].detach())
        )
    with torch.no_grad():
        full(batch)
        quantized(batch)  # unpacks the weights
    for name, x in inputs.items():
        weight = full.model.layers[0].get_submodule(name).weight.detach()
        theirs = quantized.model.layers[0].get_submodule(name).weight.detach()
        ours = ((theirs - weight) @ x.flatten(0, 1).T).square().mean()
        rounded = ((round_to_nearest(weight, 64) - weight) @ x.flatten(0, 1).T).square().mean()
        assert ours < 0.8 * rounded


def round_to_nearest(weight: torch.Tensor, group: int) -> torch.Tensor:
    """Four bits a weight, offset and step of each group chosen among many by squared error."""
    groups = weight.reshape(weight.shape[0], -1, group)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    best, best_error = groups, torch.full_like(low, torch.inf)
    for shrink in torch.linspace(0.5, 1.0, 26):
        step = (high - low) * shrink / 15
        zero = (-low * shrink / step).round()
        tried = ((groups / step + zero).round().clamp(0, 15) - zero) * step
        error = (tried - groups).square().sum(-1, keepdim=True)
        best = torch.where(error < best_error, tried, best)
        best_error = torch.minimum(error, best_error)
    return best.reshape(weight.shape)


def test_the_group_size_comes_from_the_model(checkpoint: Path) -> None:
    widths = input_widths(checkpoint)
    assert len(widths) == 14
    assert set(widths.values()) == {192, 320}
    assert choose_group_size(widths) == 64
    assert choose_group_size({"a": 512, "b": 1024}) == 128
    assert choose_group_size({"a": 96, "b": 32}) == 32
    assert choose_group_size({"a": 100}) is None
    assert choose_group_size(widths, 32) == 32


def test_widths_without_a_common_group_get_one_scale_a_row(
    write_tiny_model: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = write_tiny_model(
        tmp_path / "checkpoint",
        hidden_size=40, intermediate_size=72, num_hidden_layers=1, num_key_value_heads=4,
    )  # fmt: skip
    ids = torch.randint(0, 250, (24, 30), generator=torch.Generator().manual_seed(0)).tolist()
    with pytest.raises(UserError, match=r"group_size: 64 does not divide the \d+ inputs"):
        quantized(checkpoint, tmp_path / "groups", ids, group_size=64)
    assert quantized(checkpoint, tmp_path / "once", ids, bits=8).group_size is None
    tensors = load_file(tmp_path / "once" / "model.safetensors")
    scale = tensors["model.layers.0.mlp.up_proj.weight_scale"]
    assert scale.shape == (72, 1)

    torch.manual_seed(99)  # what ran before in the process has no say
    quantized(checkpoint, tmp_path / "again", ids, bits=8)
    for file in (tmp_path / "once").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_nothing_to_calibrate_with(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no texts to calibrate"):
        quantize_gptq(checkpoint, tmp_path, [[], []])
    assert not list(tmp_path.iterdir())


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=30), min_size=1, max_size=40),
    st.integers(1, 7),
)
def test_batches_hold_the_ends_of_all_texts_without_padding(
    texts: list[list[int]], batch_size: int
) -> None:
    batches = equal_lengths(texts, batch_size)
    assert all(len({len(ids) for ids in batch}) == 1 for batch in batches)
    assert all(len(batch) <= batch_size for batch in batches)
    cut = [ids for batch in batches for ids in batch]
    ordered = sorted(texts, key=len)
    assert all(whole[-len(end) :] == end for whole, end in zip(ordered, cut, strict=True))
    shortest = [batch[0] for batch in batches]
    assert all(ids in texts for ids in shortest)  # one of each batch is whole


def test_a_quantized_model_scores_the_same_in_bfloat16(
    four_bits_info: QuantizationInfo, four_bits: Path, calibration: list[list[int]]
) -> None:
    """Where that is faster it is unpacked and run in it."""
    examples = [Example(str(n), [*ids, 5], len(ids)) for n, ids in enumerate(calibration)]
    exact, rounded = (
        token_probabilities(
            load_model(four_bits, torch.device("cpu"), dtype), examples, range(5, 12), pad_id=0
        )
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert exact.max() > 0.8
    assert 0 < abs(exact - rounded).max() < 0.1
    assert abs(exact - rounded).mean() < 0.01
