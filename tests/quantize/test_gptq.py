import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from stillhouse.errors import UserError
from stillhouse.models.weights import count_parameters, weight_bytes
from stillhouse.quantize.gptq import (
    QuantizationInfo,
    choose_group_size,
    equal_lengths,
    input_widths,
    quantize_gptq,
)
from stillhouse.student.initialise import cut_student
from stillhouse.student.vocabulary import MAPPING_FILE, prune_tokenizer, tokens_seen

# What a user runs: transformers alone, in a process of its own.
PLAIN = """
import sys, torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
ids = load_file(sys.argv[2])
with torch.no_grad():
    save_file({k: model(v[None]).logits[0].contiguous() for k, v in ids.items()}, sys.argv[3])
assert not any(name.split(".")[0] == "llmcompressor" for name in sys.modules)
assert model.dtype == torch.float32
"""


@pytest.fixture(scope="module")
def texts(helpdesk: Path) -> list[str]:
    lines = (helpdesk / "tickets.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["body"][:300] for line in lines[:32]]


@pytest.fixture(scope="module")
def checkpoint(
    smollm2_folder: Path, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The first and the last layer of the real teacher, on the vocabulary of the texts."""
    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder)
    vocabulary = prune_tokenizer(tokenizer, tokens_seen(tokenizer, texts))
    target = tmp_path_factory.mktemp("student") / "checkpoint"
    return cut_student(smollm2_folder, layers=2, vocabulary=vocabulary, target=target).path


@pytest.fixture(scope="module")
def calibration(checkpoint: Path, texts: list[str]) -> list[list[int]]:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return [tokenizer(text).input_ids[:64] for text in texts]


@pytest.fixture(scope="module")
def four_bits(checkpoint: Path, calibration: list[list[int]]) -> QuantizationInfo:
    return quantize_gptq(checkpoint, checkpoint.parent / "four", calibration)


def plain_logits(folder: Path, ids: list[list[int]], scratch: Path) -> list[torch.Tensor]:
    from safetensors.torch import save_file

    save_file({f"{i:03}": torch.tensor(row) for i, row in enumerate(ids)}, scratch / "ids")
    command = [sys.executable, "-c", PLAIN, str(folder), str(scratch / "ids"), str(scratch / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [tensor for _, tensor in sorted(load_file(scratch / "out").items())]


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
    four_bits: QuantizationInfo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    constructor = vars(tqdm)["__init__"]
    eight = quantize_gptq(checkpoint, tmp_path / "eight", calibration[8:], bits=8)

    # llm-compressor leaves nothing behind: no log folder, no noise, no changed switch.
    assert [f.name for f in tmp_path.iterdir()] == ["eight"]
    assert "\r" not in "".join(capfd.readouterr())
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    assert vars(tqdm)["__init__"] is constructor

    held_out = calibration[:8]
    expected = plain_logits(checkpoint, held_out, tmp_path)
    of_eight = divergence(expected, plain_logits(eight.path, held_out, tmp_path))
    of_four = divergence(expected, plain_logits(four_bits.path, held_out, tmp_path))
    assert 0 < of_eight < 0.01
    assert of_eight < of_four < 0.5
    assert four_bits.bytes < eight.bytes < weight_bytes(checkpoint)


def test_what_is_written_is_small_and_complete(
    checkpoint: Path, four_bits: QuantizationInfo
) -> None:
    assert (four_bits.bits, four_bits.group_size, four_bits.layers) == (4, 64, 14)
    assert four_bits.warnings == ()
    assert four_bits.bytes == weight_bytes(four_bits.path)
    assert count_parameters(four_bits.path) == count_parameters(checkpoint)
    tensors = load_file(four_bits.path / "model.safetensors")
    assert {t.dtype for t in tensors.values()} <= {
        torch.bfloat16, torch.int32, torch.int64, torch.int8
    }  # fmt: skip
    assert sum("weight_packed" in name for name in tensors) == 14
    assert "lm_head.weight" not in tensors  # tied: stored once
    embedding = tensors["model.embed_tokens.weight"]
    linear = sum(t.nbytes for name, t in tensors.items() if ".layers." in name)
    assert four_bits.bytes - embedding.nbytes - linear < 20_000
    for name in ("tokenizer.json", "generation_config.json", "recipe.yaml", str(MAPPING_FILE)):
        assert (four_bits.path / name).exists()


def test_errors_are_smaller_than_those_of_rounding(
    checkpoint: Path, calibration: list[list[int]], four_bits: QuantizationInfo
) -> None:
    """GPTQ against rounding to the best grid of each group, on the first layer's real inputs."""
    full = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    quantized = AutoModelForCausalLM.from_pretrained(four_bits.path, dtype=torch.float32)
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
    assert set(widths.values()) == {576, 1536}
    assert choose_group_size(widths) == 64
    assert choose_group_size({"a": 512, "b": 1024}) == 128
    assert choose_group_size({"a": 96, "b": 32}) == 32
    assert choose_group_size({"a": 100}) is None
    assert choose_group_size(widths, 32) == 32


def test_widths_without_a_common_group_get_one_scale_a_row(
    smollm2_folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    checkpoint = tmp_path / "checkpoint"
    config = LlamaConfig(
        vocab_size=300, hidden_size=40, intermediate_size=72, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=4,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(checkpoint)
    whole = AutoTokenizer.from_pretrained(smollm2_folder)
    prune_tokenizer(whole, []).tokenizer.save_pretrained(checkpoint)
    ids = torch.randint(0, 250, (24, 30)).tolist()
    with pytest.raises(UserError, match=r"group_size: 64 does not divide the \d+ inputs"):
        quantize_gptq(checkpoint, tmp_path / "quantized", ids, group_size=64)
    info = quantize_gptq(checkpoint, tmp_path / "quantized", ids, bits=8)
    assert info.group_size is None
    expected, found = (plain_logits(f, ids[:2], tmp_path) for f in (checkpoint, info.path))
    assert 0 < divergence(expected, found) < 1e-3


def test_nothing_to_calibrate_with(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no texts to calibrate"):
        quantize_gptq(checkpoint, tmp_path / "out", [[], []])
    assert not (tmp_path / "out").exists()


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
