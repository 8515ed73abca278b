import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from stillhouse.errors import UserError
from stillhouse.models import importing
from stillhouse.models.importing import (
    describe,
    import_teacher,
    model_fingerprint,
    padding_token,
    tokenizer_fingerprint,
)
from stillhouse.models.weights import count_parameters, weight_bytes


def byte_tokenizer(**special: str) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({symbol: i for i, symbol in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def tiny_model(vocabulary: int = 264) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=3,
            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
        )
    )  # fmt: skip


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "teacher"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    tiny_model().to(torch.bfloat16).save_pretrained(folder)
    byte_tokenizer(bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    return folder


def imported(source: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    import_teacher("mine", source, folder)
    return folder


def test_safetensors_are_taken_over_as_they_are(source: Path, target: Path) -> None:
    info = import_teacher("mine", source, target)
    assert (info.layers, info.hidden_size, info.vocabulary) == (3, 32, 264)
    assert info.architecture == "LlamaForCausalLM"
    assert info.parameters == sum(p.numel() for p in tiny_model().parameters())
    before, after = (load_file(f / "model.safetensors") for f in (source, target))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert info.bytes == (source / "model.safetensors").stat().st_size
    assert AutoModelForCausalLM.from_pretrained(target).dtype == torch.bfloat16


def test_sharded_weights_are_taken_over_whole(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "source"
    tiny_model().save_pretrained(source, max_shard_size="50KB")
    byte_tokenizer(eos_token="</s>").save_pretrained(source)
    assert len(list(source.glob("*.safetensors"))) > 1
    info = import_teacher("mine", source, target)
    assert info.parameters == sum(p.numel() for p in tiny_model().parameters())
    loaded = AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32)
    ids = torch.arange(20)[None]
    assert torch.allclose(loaded(ids).logits, tiny_model()(ids).logits, atol=1e-5)


def test_padding_never_is_the_end_of_text(source: Path, target: Path) -> None:
    folder = imported(source, target)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.pad_token_id is not None
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    for name in ("config.json", "generation_config.json"):
        assert json.loads((folder / name).read_text())["pad_token_id"] == tokenizer.pad_token_id


@pytest.mark.parametrize(
    ("special", "expected"),
    [
        ({"eos_token": "</s>", "unk_token": "<unk>"}, "<unk>"),
        ({"eos_token": "</s>", "bos_token": "<s>", "additional_special_tokens": ["<|pad|>"]},
         "<|pad|>"),
        ({"eos_token": "</s>", "bos_token": "<s>", "additional_special_tokens": ["<|x|>"]},
         "<|x|>"),
        ({"eos_token": "</s>", "bos_token": "<s>"}, "<s>"),
        ({"eos_token": "</s>"}, "</s>"),
    ],
)  # fmt: skip
def test_choice_of_the_padding_token(special: dict, expected: str) -> None:
    assert padding_token(byte_tokenizer(**special)) == expected


def test_a_tokenizer_that_can_pad_keeps_its_token(source: Path, target: Path) -> None:
    byte_tokenizer(eos_token="</s>", pad_token="<p>", unk_token="<u>").save_pretrained(source)
    folder = imported(source, target)
    assert AutoTokenizer.from_pretrained(folder).pad_token == "<p>"


def test_the_users_files_are_copied_and_never_touched(source: Path, target: Path) -> None:
    weights, copy = source / "model.safetensors", target / "model.safetensors"
    content = weights.read_bytes()
    weights.chmod(0o444)
    before = {f.name: f.stat() for f in source.iterdir()}
    import_teacher("mine", source, target)
    after = {f.name: f.stat() for f in source.iterdir()}
    assert after.keys() == before.keys()
    for name, found in after.items():
        assert (found.st_mode, found.st_mtime_ns) == (
            before[name].st_mode,
            before[name].st_mtime_ns,
        )
    inodes = {found.st_ino for found in before.values()}
    assert not inodes & {f.stat().st_ino for f in target.iterdir()}
    assert copy.stat().st_mode & 0o200, "the copy is ours to remove and replace"

    weights.chmod(0o644)
    with weights.open("r+b") as stream:
        stream.seek(-4, os.SEEK_END)
        stream.write(b"\x7f\x7f\x7f\x7f")
    assert copy.read_bytes() == content


def test_links_to_weights_are_followed_as_in_a_hugging_face_cache(
    source: Path, target: Path, tmp_path: Path
) -> None:
    blob = (source / "model.safetensors").rename(tmp_path / "blob")
    (source / "model.safetensors").symlink_to(blob)
    import_teacher("mine", source, target)
    assert not (target / "model.safetensors").is_symlink()
    assert (target / "model.safetensors").read_bytes() == blob.read_bytes()


def test_weights_are_copied_where_the_system_cannot_clone(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    monkeypatch.setattr(importing, "PIECE_BYTES", 1000)
    import_teacher("mine", source, target)
    name = "model.safetensors"
    assert (target / name).read_bytes() == (source / name).read_bytes()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_pickled_weights_are_refused(tmp_path: Path, target: Path, name: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(UserError, match="pickled weights"):
        import_teacher("mine", tmp_path, target)
    assert not list(target.iterdir())


def test_pickles_and_code_beside_safetensors_stay_behind(source: Path, target: Path) -> None:
    (source / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (source / "modeling_llama.py").write_text("raise SystemExit")
    config = json.loads((source / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_llama.Mine"}
    (source / "config.json").write_text(json.dumps(config))
    folder = imported(source, target)
    assert not {f.suffix for f in folder.iterdir()} & {".bin", ".py"}
    assert "auto_map" not in json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "house-made", "auto_map": {"AutoConfig": "mine.Config"}}, "auto_map"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "not a causal language model"),
        ({"model_type": "vit"}, "not a causal language model"),
    ],
)
def test_models_that_cannot_teach_are_refused(
    source: Path, target: Path, change: dict, message: str
) -> None:
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match=message):
        import_teacher("mine", source, target)


def test_folders_without_one_model_are_refused(tmp_path: Path, target: Path) -> None:
    with pytest.raises(UserError, match="no weights"):
        import_teacher("mine", tmp_path, target)
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(UserError, match=r"several models \(a.gguf, b.gguf\)"):
        import_teacher("mine", tmp_path, target)
    with pytest.raises(UserError, match=r"a\.gguf: not a GGUF file, or cut short"):
        import_teacher("mine", tmp_path / "a.gguf", target)


@pytest.mark.parametrize(
    ("damaged", "damage", "message"),
    [
        ("model.safetensors", lambda c: b"\x01", "not a safetensors file"),
        ("model.safetensors", lambda c: b"", "not a safetensors file"),
        ("model.safetensors", lambda c: c[:200], "not a safetensors file, or cut short"),
        ("model.safetensors", lambda c: c[:-1], "cut short"),
        ("config.json", lambda c: c[:-20], "config.json: not JSON, or cut short"),
        ("config.json", lambda c: b"[]", "config.json: not JSON, or cut short"),
        ("tokenizer.json", lambda c: c[:-20], "tokenizer can't be read"),
        ("tokenizer.json", lambda c: None, "tokenizer can't be read"),
    ],
)
def test_a_damaged_source_is_said_before_anything_is_imported(
    source: Path,
    target: Path,
    damaged: str,
    damage: Callable[[bytes], bytes | None],
    message: str,
) -> None:
    content = damage((source / damaged).read_bytes())
    (source / damaged).unlink()
    if content is not None:
        (source / damaged).write_bytes(content)
    with pytest.raises(UserError, match=message):
        import_teacher("mine", source, target)
    assert not list(target.iterdir())


@pytest.mark.parametrize(
    ("dtype", "value"), [(torch.bfloat16, float("nan")), (torch.float16, float("-inf"))]
)
def test_weights_that_are_no_numbers_are_refused(
    source: Path, target: Path, dtype: torch.dtype, value: float
) -> None:
    weights = {k: v.to(dtype) for k, v in load_file(source / "model.safetensors").items()}
    name = "model.layers.2.mlp.up_proj.weight"
    weights[name][-1, -1] = value
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"{name} has weights that are infinite or no numbers"):
        import_teacher("mine", source, target)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vocab_size": 200}, "numbers tokens up to 255, and the embedding has 200 rows"),
        ({"eos_token_id": [2, 128001]}, "names token 128001"),
        ({"vocab_size": 151_936}, "knows 258 tokens, and the embedding has 151936 rows"),
    ],
)
def test_a_tokenizer_of_another_model_is_refused(
    source: Path, target: Path, change: dict, reason: str
) -> None:
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match=reason):
        import_teacher("mine", source, target)
    assert not list(target.iterdir())


def test_special_tokens_beyond_the_embedding_are_no_other_models(
    source: Path, target: Path
) -> None:
    config = json.loads((source / "config.json").read_text())
    change = {"vocab_size": 256, "bos_token_id": None, "eos_token_id": None}
    (source / "config.json").write_text(json.dumps(config | change))
    import_teacher("mine", source, target)


@pytest.mark.parametrize("half_copied", ["shard", "cut shard", "index", "tensor"])
def test_half_copied_shards_are_said_before_anything_is_imported(
    tmp_path: Path, target: Path, half_copied: str
) -> None:
    source = tmp_path / "source"
    tiny_model().save_pretrained(source, max_shard_size="50KB")
    byte_tokenizer(eos_token="</s>").save_pretrained(source)
    index, last = source / "model.safetensors.index.json", sorted(source.glob("*.safetensors"))[-1]
    if half_copied == "shard":
        last.unlink()
    elif half_copied == "cut shard":
        last.write_bytes(last.read_bytes()[:-10])
    elif half_copied == "index":
        index.write_text(index.read_text()[:-50])
    else:
        tensors = load_file(last)
        tensors.popitem()
        save_file(tensors, last, metadata={"format": "pt"})
    with pytest.raises(UserError, match=index.name if half_copied == "index" else last.name):
        import_teacher("mine", source, target)
    assert not list(target.iterdir())


def test_the_fingerprint_follows_what_the_model_is(source: Path, tmp_path: Path) -> None:
    first = describe(imported(source, tmp_path / "first"))
    folder = imported(source, tmp_path / "again")
    assert first.fingerprint == describe(folder).fingerprint
    seen = {first.fingerprint}

    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] += 1
    save_file(weights, tmp_path / "changed", metadata={"format": "pt"})
    (tmp_path / "changed").replace(folder / "model.safetensors")
    seen.add(model_fingerprint(folder))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.5}))
    seen.add(model_fingerprint(folder))
    (folder / "config.json").write_text(json.dumps(config | {"transformers_version": "9"}))
    assert model_fingerprint(folder) in seen
    tokens = tokenizer_fingerprint(folder)
    byte_tokenizer(eos_token="</s>", pad_token="<other>").save_pretrained(folder)
    assert tokenizer_fingerprint(folder) != tokens
    seen.add(model_fingerprint(folder))
    assert len(seen) == 4


def test_smollm2_is_unpacked_to_a_model_that_knows_things(smollm2_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(smollm2_folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder)
    assert count_parameters(smollm2_folder) == model.num_parameters() == 134_515_008
    assert weight_bytes(smollm2_folder) < 2.01 * 134_515_008  # two bytes each
    assert "quantization_config" not in model.config.to_dict()
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    next_token = model(ids).logits[0, -1].argmax()
    assert tokenizer.decode(next_token) == " Paris"


def test_smollm2_weights_are_those_of_the_gguf_file(
    smollm2_wheel: Path, smollm2_folder: Path
) -> None:
    """Against the gguf package's own reading, within float16's rounding."""
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(next(smollm2_wheel.rglob("*.gguf")))
    tensors = {t.name: t for t in reader.tensors}
    weights = load_file(smollm2_folder / "model.safetensors")
    for theirs, ours in (
        ("blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight"),
        ("blk.29.attn_v.weight", "model.layers.29.self_attn.v_proj.weight"),
        ("output_norm.weight", "model.norm.weight"),
    ):
        tensor = tensors[theirs]
        expected = torch.tensor(dequantize(tensor.data, tensor.tensor_type))
        assert torch.allclose(weights[ours].float(), expected, rtol=2**-11, atol=1e-7)


def test_smollm2_has_the_tokenizer_its_file_describes(smollm2_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder)
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.bos_token == "<|im_start|>"
    assert tokenizer.pad_token == "<|endoftext|>"
    # `pre: smollm`: digits stand alone, so the spaces before one are a token together.
    assert tokenizer.tokenize("a   42") == ["a", "ĠĠĠ", "4", "2"]
    assert tokenizer("<|im_start|>").input_ids == [1]
    text = "Order no. 12 , isn't it ?\n\tJa – ünïcode 漢字 🦙"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert chat.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
