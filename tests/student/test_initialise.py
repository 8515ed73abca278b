import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from stillhouse.errors import UserError
from stillhouse.lm.tokens import add_tokens
from stillhouse.student.initialise import cut_student, evenly_spaced
from stillhouse.student.vocabulary import (
    MAPPING_FILE,
    PrunedVocabulary,
    load_vocabulary,
    prune_tokenizer,
)
from tests.student.tokens import tokens_of

CORPUS = [
    "Where is my parcel?",
    "My card was declined twice, order 4711.",
    "Merci bien – à bientôt",
]


def load(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def logits(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids])).logits[0]


@pytest.fixture(scope="module")
def adapted(smollm2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real teacher with label tokens, as adaptation leaves it."""
    folder = tmp_path_factory.mktemp("adapted") / "model"
    model, tokenizer = load(smollm2_folder), AutoTokenizer.from_pretrained(smollm2_folder)
    add_tokens(model, tokenizer, {"<|billing|>": "billing", "<|parcels|>": "parcels"})
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vocabulary(adapted: Path) -> PrunedVocabulary:
    tokenizer = AutoTokenizer.from_pretrained(adapted)
    return prune_tokenizer(tokenizer, tokens_of(tokenizer, CORPUS))


@pytest.fixture
def untied(tmp_path: Path) -> tuple[Path, Qwen2ForCausalLM]:
    """A random model with an output layer of its own, biases, two kinds of layers and padding."""
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=320, hidden_size=32, intermediate_size=64, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False,
            sliding_window=3, use_sliding_window=True, max_window_layers=2,
            eos_token_id=[7, 9], bos_token_id=None, pad_token_id=None,
        )
    )  # fmt: skip
    model.generation_config.eos_token_id = [7, 9]
    model.generation_config.suppress_tokens = [5, 300]
    model.save_pretrained(tmp_path / "untied")
    return tmp_path / "untied", model.eval()


def picked(rows: int, kept: list[int], tokenizer: object = None) -> PrunedVocabulary:
    forth = np.full(rows, -1, dtype=np.int64)
    forth[kept] = np.arange(len(kept))

    class Tokenizer:
        pad_token_id = 0

        def save_pretrained(self, folder: Path) -> None:
            pass

    return PrunedVocabulary(tokenizer or Tokenizer(), forth, np.array(kept))  # type: ignore[arg-type]


@given(st.integers(2, 200).flatmap(lambda of: st.tuples(st.integers(2, of), st.just(of))))
def test_layers_are_spread_evenly(sizes: tuple[int, int]) -> None:
    count, of = sizes
    kept = evenly_spaced(count, of)
    assert len(kept) == count
    assert kept[0] == 0
    assert kept[-1] == of - 1
    gaps = np.diff(kept)
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


def test_the_layers_of_the_plan() -> None:
    assert evenly_spaced(6, 30) == (0, 6, 12, 17, 23, 29)
    assert evenly_spaced(1, 30) == (0,)
    assert evenly_spaced(4, 4) == (0, 1, 2, 3)


def test_with_all_layers_and_tokens_the_student_is_its_teacher(
    adapted: Path, tmp_path: Path
) -> None:
    info = cut_student(adapted, layers=30, vocabulary=None, target=tmp_path / "student")
    before, after = (load_file(f / "model.safetensors") for f in (adapted, info.path))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not (info.path / MAPPING_FILE).exists()
    assert load_vocabulary(info.path) is None
    assert info.parameters == load(info.path).num_parameters()


def test_with_fewer_tokens_the_kept_ones_have_their_teachers_logits(
    adapted: Path, vocabulary: PrunedVocabulary, tmp_path: Path
) -> None:
    info = cut_student(adapted, layers=30, vocabulary=vocabulary, target=tmp_path / "student")
    teacher, student = load(adapted), load(info.path)
    tokenizer = AutoTokenizer.from_pretrained(adapted)
    pruned = AutoTokenizer.from_pretrained(info.path)
    for text in [*CORPUS, "My card<|billing|>"]:
        expected = logits(teacher, tokenizer(text).input_ids)[:, vocabulary.student_to_teacher]
        found = logits(student, pruned(text).input_ids)
        assert torch.allclose(found, expected, atol=1e-4)
    assert info.vocabulary == len(pruned) < 1000
    assert info.parameters == student.num_parameters()
    assert student.config.eos_token_id == pruned.eos_token_id
    assert student.config.pad_token_id == pruned.pad_token_id
    assert student.generation_config.eos_token_id == pruned.eos_token_id


def test_a_student_has_the_teachers_layers_it_says(
    adapted: Path, vocabulary: PrunedVocabulary, tmp_path: Path
) -> None:
    info = cut_student(adapted, layers=3, vocabulary=vocabulary, target=tmp_path / "student")
    assert info.kept_layers == (0, 15, 29)
    teacher = load(adapted)
    teacher.model.layers = torch.nn.ModuleList(teacher.model.layers[i] for i in info.kept_layers)
    for new, layer in enumerate(teacher.model.layers):
        layer.self_attn.layer_idx = new
    teacher.config.num_hidden_layers = 3
    student = load(info.path)
    ids = [5, 90, 100]
    expected = logits(teacher, vocabulary.student_to_teacher[ids].tolist())
    assert torch.allclose(
        logits(student, ids), expected[:, vocabulary.student_to_teacher], atol=1e-4
    )
    generated = student.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, 3), max_new_tokens=3, do_sample=False
    )
    assert generated.shape == (1, 6)  # the key-value cache has a place for each layer
    saved = json.loads((info.path / "config.json").read_text())
    assert saved["dtype"] == "float16"  # as the teacher had it


def test_untied_outputs_biases_and_kinds_of_layers_follow(
    untied: tuple[Path, Qwen2ForCausalLM], tmp_path: Path
) -> None:
    folder, teacher = untied
    kept = [0, 3, 7, 8, 9, 300]
    cut_student(folder, layers=4, vocabulary=picked(320, kept), target=tmp_path / "all")
    student = load(tmp_path / "all")
    ids = [1, 2, 5, 4, 3, 0, 1, 1, 2]
    expected = logits(teacher, [kept[i] for i in ids])[:, kept]
    assert torch.allclose(logits(student, ids), expected, atol=1e-5)
    assert student.config.eos_token_id == [2, 4]
    assert student.generation_config.suppress_tokens == [5]  # token 5 itself is gone

    cut_student(folder, layers=2, vocabulary=picked(320, kept), target=tmp_path / "two")
    two = load(tmp_path / "two")
    whole = teacher.config.layer_types
    assert whole[0] != whole[3]
    assert two.config.layer_types == [whole[0], whole[3]]
    assert torch.equal(
        two.model.layers[1].self_attn.q_proj.bias, teacher.model.layers[3].self_attn.q_proj.bias
    )


@pytest.mark.parametrize("layers", [0, 31])
def test_more_layers_than_the_teacher_has(adapted: Path, tmp_path: Path, layers: int) -> None:
    with pytest.raises(UserError) as error:
        cut_student(adapted, layers=layers, vocabulary=None, target=tmp_path / "student")
    assert f"students[].init.layers: {layers}" in error.value.message
    assert "from 1 to 30" in error.value.remedy
    assert not (tmp_path / "student").exists()


def test_the_vocabulary_of_another_teacher_is_refused(
    untied: tuple[Path, Qwen2ForCausalLM], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="vocab_size 320 is smaller"):
        cut_student(
            untied[0], layers=2, vocabulary=picked(400, [0, 320]), target=tmp_path / "student"
        )


def test_models_that_cannot_be_cut_are_refused(tmp_path: Path) -> None:
    config: PretrainedConfig = GPT2Config(
        vocab_size=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(UserError, match=r"`gpt2` model.*no `model\.layers`"):
        cut_student(tmp_path / "gpt2", layers=1, vocabulary=None, target=tmp_path / "student")


def test_quantized_teachers_are_refused(
    untied: tuple[Path, Qwen2ForCausalLM], tmp_path: Path
) -> None:
    file = untied[0] / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": {}}))
    with pytest.raises(UserError, match="quantized"):
        cut_student(untied[0], layers=1, vocabulary=None, target=tmp_path / "student")
