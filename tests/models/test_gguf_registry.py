"""A .gguf file in the registry: what it is, and that it can be imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stillhouse.config.project import Project, load_project
from stillhouse.models.importing import import_teacher
from stillhouse.models.registry import Candidate, look
from tests.made import MINIMAL

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers.": "blk.",
}


def write_gguf(file: Path, folder: Path, *, drop: int = 0, poisoned: bool = False) -> None:
    """The tiny model in `folder` as a .gguf file; `drop` leaves rows of its embedding out."""
    from gguf import GGUFWriter
    from safetensors.numpy import load_file
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = [*tokenizer.convert_ids_to_tokens(range(len(tokenizer))), "ab"]
    writer = GGUFWriter(file, "llama")
    writer.add_license("apache-2.0")
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(264)  # rows of the embedding, some of them padding
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t in tokenizer.all_special_tokens else 1 for t in tokens])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    for name, weights in load_file(folder / "model.safetensors").items():
        for theirs, its in NAMES.items():
            name = name.replace(theirs, its)
        if drop and name == "token_embd.weight":
            weights = weights[:-drop]
        if poisoned and name == "output_norm.weight":
            weights = np.full_like(weights, np.inf)
        writer.add_tensor(name, np.ascontiguousarray(weights))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, write_tiny_model: Callable[..., Path]) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model", vocab_size=264)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    found = load_project(tmp_path)
    found.registry.mkdir(parents=True)
    return found


def one(project: Project) -> Candidate:
    (found,) = look(project, quiet=0.0)
    return found


@pytest.mark.parametrize("place", ["v2.gguf", "v2/any-name.gguf"])
def test_a_gguf_file_becomes_a_version(
    project: Project, tiny: Path, tmp_path: Path, place: str
) -> None:
    file = project.registry / place
    file.parent.mkdir(exist_ok=True)
    write_gguf(file, tiny)
    found = one(project)
    assert (found.version, found.state) == ("v2", "complete"), found.reason
    about = load_project(project.file).teacher("v2").found  # type: ignore[attr-defined]
    assert (about.architecture, about.precision, about.tokenizer) == ("llama", "F32", "gpt2")
    assert about.license_stated == [f"Apache-2.0 ({file.name})"]
    target = tmp_path / "imported"
    target.mkdir()
    info = import_teacher("registry:v2", file, target)
    assert info.parameters == about.parameters
    assert (info.vocabulary, about.vocabulary) == (264, 260)


def test_a_gguf_file_that_is_broken_is_not_taken_in(project: Project, tiny: Path) -> None:
    file = project.registry / "v2.gguf"
    write_gguf(file, tiny)
    content = file.read_bytes()
    file.write_bytes(content[:-300])
    found = one(project)
    assert found.state == "waiting" and "cut short" in found.reason
    for damage, reason in (
        ({"drop": 9}, "tokenizer is another model's"),
        ({"poisoned": True}, "NaN"),
    ):
        write_gguf(file, tiny, **damage)
        found = one(project)
        assert found.state == "refused" and reason in found.reason
    write_gguf(file, tiny)
    assert one(project).state == "complete"
