"""The training loop on a small random model: it learns, stops, resumes exactly, keeps the best."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from stillhouse.config.training import TrainingSettings
from stillhouse.errors import UserError
from stillhouse.lm.prompts import Example
from stillhouse.lm.scoring import token_probabilities
from stillhouse.storage.files import read_json
from stillhouse.training import loop
from stillhouse.training.loop import train
from stillhouse.training.step import TrainingData

VOCABULARY = 32
LABELS = [30, 31]


def make_model(seed: int = 0, padding: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY + padding,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            tie_word_embeddings=True,
        )
    )


def make_examples(count: int, offset: int = 0) -> list[Example]:
    """The label says whether token 5 stands somewhere."""
    examples = []
    generator = torch.Generator().manual_seed(offset)
    for n in range(count):
        ids = torch.randint(6, 29, (4 + n % 5,), generator=generator).tolist()
        if n % 2:
            ids[n % len(ids)] = 5
        examples.append(Example(f"e{offset}-{n}", [*ids, LABELS[n % 2]], len(ids)))
    return examples


SETTINGS = TrainingSettings(epochs=6, learning_rate=5e-3, batch_size=8, patience=6)
SHORT = SETTINGS.model_copy(update={"epochs": 3})
FEW = make_examples(24)


def accuracy(model: LlamaForCausalLM) -> Callable[[], dict[str, float]]:
    held_out = make_examples(40, offset=1)

    def evaluate() -> dict[str, float]:
        found = token_probabilities(model, held_out, LABELS, pad_id=0).argmax(1)
        right = sum(int(p) == n % 2 for n, p in enumerate(found)) / len(held_out)
        return {"score": right}

    return evaluate


def fit(  # type: ignore[no-untyped-def]
    model: LlamaForCausalLM,
    folder: Path,
    settings: TrainingSettings = SETTINGS,
    *,
    examples: list[Example] | None = None,
    **extra,
):
    return train(
        model,
        TrainingData(make_examples(120) if examples is None else examples),
        settings,
        evaluate=extra.pop("evaluate", None) or accuracy(model),
        state_folder=folder,
        fingerprint=extra.pop("fingerprint", "f"),
        pad_id=0,
        vocabulary=VOCABULARY,
        dtype=extra.pop("dtype", None),
    )


def test_an_embedding_padded_beyond_the_tokenizer_trains_as_one_that_is_not(tmp_path: Path) -> None:
    exact, padded = make_model(), make_model(padding=8)
    weights = exact.state_dict()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = torch.cat([weights[name], torch.full((8, 32), 0.5)])  # of some likelihood
    padded.load_state_dict(weights)
    fit(exact, tmp_path / "exact", SHORT, examples=FEW)
    fit(padded, tmp_path / "padded", SHORT, examples=FEW)
    for name, value in exact.state_dict().items():
        torch.testing.assert_close(padded.state_dict()[name][: len(value)], value)


def test_it_learns_and_reports_every_epoch(tmp_path: Path) -> None:
    model = make_model()
    result = fit(model, tmp_path)
    assert result.best_score > 0.9
    assert [r["epoch"] for r in result.history] == [1, 2, 3, 4, 5, 6]
    assert result.history[-1]["ce"] < result.history[0]["ce"]
    assert accuracy(model)()["score"] == result.best_score


def test_the_best_epoch_is_kept_and_patience_ends_the_rest(tmp_path: Path) -> None:
    model = make_model()
    scores = iter([0.5, 0.9, 0.1, 0.2, 0.3, 0.4])
    weights: list[torch.Tensor] = []

    def evaluate() -> dict[str, float]:
        weights.append(model.model.layers[0].mlp.up_proj.weight.detach().clone())
        return {"score": next(scores)}

    result = fit(
        model,
        tmp_path,
        SETTINGS.model_copy(update={"patience": 2}),
        examples=FEW,
        evaluate=evaluate,
    )
    assert (result.best_epoch, result.stopped_early, len(result.history)) == (2, True, 4)
    assert torch.equal(model.model.layers[0].mlp.up_proj.weight, weights[1])


def test_a_broken_run_goes_on_to_the_same_weights(
    finished: tuple[LlamaForCausalLM, Path], tmp_path: Path
) -> None:
    whole, _ = finished
    break_off(tmp_path / "broken", epochs=2)
    resumed = make_model(seed=99)
    result = fit(resumed, tmp_path / "broken", SHORT, examples=FEW)
    assert len(result.history) == 3
    assert same_weights(whole, resumed)


def break_off(folder: Path, epochs: int, **extra: Any) -> None:
    """Train, and die in the validation after `epochs` whole epochs."""
    model = make_model()
    score, calls = accuracy(model), 0

    def dies() -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls > epochs:
            raise KeyboardInterrupt
        return score()

    with pytest.raises(KeyboardInterrupt):
        fit(model, folder, SHORT, examples=FEW, evaluate=dies, **extra)


def same_weights(left: LlamaForCausalLM, right: LlamaForCausalLM) -> bool:
    pairs = zip(left.parameters(), right.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_run_killed_in_validation_after_its_last_step_was_saved_goes_on(
    finished: tuple[LlamaForCausalLM, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epochs: int,
) -> None:
    whole, state = finished
    expected = read_json(state / "last" / "state.json")["history"]
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", 0.0)
    break_off(tmp_path / "broken", epochs)
    resumed = make_model(seed=99)
    result = fit(resumed, tmp_path / "broken", SHORT, examples=FEW)
    assert same_weights(whole, resumed)
    for ours, theirs in zip(result.history, expected, strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


def test_a_run_killed_while_its_state_changed_places_goes_on(
    finished: tuple[LlamaForCausalLM, Path], tmp_path: Path
) -> None:
    """Between two renames the old state lies in a leftover of the writer alone."""
    whole, _ = finished
    folder = tmp_path / "broken"
    break_off(folder, epochs=2)
    part = folder / ".last.00000000.part"
    (part / "last").mkdir(parents=True)
    (folder / "last").rename(part / ".old")
    resumed = make_model(seed=99)
    epochs: list[int] = []
    fit(resumed, folder, SHORT, examples=FEW, evaluate=counting(accuracy(resumed), epochs))
    assert len(epochs) == 1, "the two finished epochs were trained again"
    assert same_weights(whole, resumed)
    assert {f.name for f in folder.iterdir()} == {"best", "last"}


def counting(
    evaluate: Callable[[], dict[str, float]], calls: list[int]
) -> Callable[[], dict[str, float]]:
    def counted() -> dict[str, float]:
        calls.append(1)
        return evaluate()

    return counted


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[LlamaForCausalLM, Path]:
    """A model trained under SHORT on FEW, and the state that it left; not to be written."""
    model, folder = make_model(), tmp_path_factory.mktemp("finished") / "state"
    fit(model, folder, SHORT, examples=FEW)
    return model, folder


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("last/state.json", "empty"),
        ("last/state.json", "cut"),
        ("last/weights.safetensors", "cut"),
        ("last/optimizer.safetensors", "empty"),
        ("last/optimizer.safetensors", "gone"),
        ("best/weights.safetensors", "gone"),
    ],
)
def test_a_damaged_state_is_thrown_away(
    finished: tuple[LlamaForCausalLM, Path], tmp_path: Path, file: str, damage: str
) -> None:
    whole, state = finished
    shutil.copytree(state, tmp_path / "state")
    damaged = tmp_path / "state" / file
    content = damaged.read_bytes()
    damaged.unlink()
    if damage != "gone":
        damaged.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    again, calls = make_model(), []
    evaluate = counting(accuracy(again), calls)
    result = fit(again, tmp_path / "state", SHORT, examples=FEW, evaluate=evaluate)
    assert len(calls) == len(result.history) == 3
    assert same_weights(whole, again)


def test_the_same_seed_and_data_give_the_same_weights(tmp_path: Path) -> None:
    models = [make_model() for _ in range(3)]
    for number, (model, seed) in enumerate(zip(models, (7, 7, 8), strict=True)):
        torch.manual_seed(number)  # what ran before in the process has no say
        fit(model, tmp_path / str(number), SHORT.model_copy(update={"seed": seed}), examples=FEW)
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no example to learn from") as error:
        fit(make_model(), tmp_path, examples=[])
    assert "min_examples" in error.value.remedy


def test_a_loss_that_is_no_number_stops_training_with_the_weights_sound(tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        model.model.norm.weight[0] = torch.inf
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(UserError, match=r"epoch 1, step 1 of 15: .* no number") as error:
        fit(model, tmp_path)
    assert "learning_rate" in error.value.remedy
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not (tmp_path / "last").exists()


def test_a_validation_score_that_is_no_number_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="validation") as error:
        fit(make_model(), tmp_path, SHORT, examples=FEW, evaluate=lambda: {"score": float("nan")})
    assert "splits.validation" in error.value.remedy


def test_a_state_of_other_settings_is_thrown_away(
    finished: tuple[LlamaForCausalLM, Path], tmp_path: Path
) -> None:
    whole, state = finished
    shutil.copytree(state, tmp_path / "state")
    model, calls = make_model(), []
    evaluate = counting(accuracy(model), calls)
    fit(model, tmp_path / "state", SHORT, examples=FEW, evaluate=evaluate, fingerprint="other")
    assert len(calls) == 3
    assert same_weights(whole, model)


def test_accumulation_gives_the_step_of_the_large_batch(tmp_path: Path) -> None:
    """Also with batches of different token counts: they share one denominator."""
    once, twice = make_model(), make_model()
    one_step = SETTINGS.model_copy(update={"epochs": 1, "warmup": 0.0})
    for model, settings in (
        (once, one_step.model_copy(update={"batch_size": 120})),
        (twice, one_step.model_copy(update={"batch_size": 30, "accumulation": 4})),
    ):
        fit(model, tmp_path / str(settings.batch_size), settings)
    for a, b in zip(once.parameters(), twice.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=0)
    assert list((tmp_path / "30" / "last").glob("*")) != []
    assert not list(tmp_path.rglob("*.pt")) and not list(tmp_path.rglob("*.bin"))


def test_in_bfloat16_it_learns_as_in_float32(tmp_path: Path) -> None:
    exact, rounded = make_model(), make_model()
    expected = fit(exact, tmp_path / "exact")
    computed: list[torch.dtype] = []

    def evaluate() -> dict[str, float]:
        computed.append(rounded.dtype)
        return accuracy(rounded)()

    found = fit(rounded, tmp_path / "rounded", dtype=torch.bfloat16, evaluate=evaluate)
    assert set(computed) == {torch.bfloat16}
    assert found.best_score > 0.9
    assert found.history[0]["ce"] == pytest.approx(expected.history[0]["ce"], rel=0.02)
    assert found.history[-1]["ce"] == pytest.approx(expected.history[-1]["ce"], abs=0.05)
    assert {p.dtype for p in rounded.parameters()} == {torch.float32}
    assert rounded.lm_head.weight is rounded.model.embed_tokens.weight


def test_steps_too_small_for_bfloat16_add_up(tmp_path: Path) -> None:
    """A rate at which no weight moves by what bfloat16 can tell apart in one step."""
    slow = SETTINGS.model_copy(update={"learning_rate": 2e-6, "epochs": 4, "weight_decay": 0.0})
    model, moved = make_model(), []
    before = [p.detach().clone() for p in model.parameters()]
    fit(model, tmp_path, slow, dtype=torch.bfloat16)
    for old, new in zip(before, model.parameters(), strict=True):
        if old.ndim > 1:
            moved.append((new - old).abs().median() / old.abs().median())
    assert min(moved) > 1e-4
    assert max(moved) < 1e-2


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_broken_run_in_bfloat16_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    """What is saved are the float32 masters."""
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", 0.0)
    whole = make_model()
    fit(whole, tmp_path / "whole", SHORT, examples=FEW, dtype=torch.bfloat16)
    break_off(tmp_path / "broken", epochs, dtype=torch.bfloat16)
    saved = load_file(tmp_path / "broken" / "last" / "weights.safetensors")
    assert {w.dtype for w in saved.values()} == {torch.float32}
    assert any(not w.bfloat16().float().equal(w) for w in saved.values())
    resumed = make_model(seed=99)
    fit(resumed, tmp_path / "broken", SHORT, examples=FEW, dtype=torch.bfloat16)
    assert same_weights(whole, resumed)


def test_a_broken_run_leaves_the_model_in_float32(tmp_path: Path) -> None:
    model = make_model()

    def dies() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, tmp_path, SHORT, examples=FEW, evaluate=dies, dtype=torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(p.grad is None for p in model.parameters())


def test_weights_stored_in_bfloat16_have_masters_too(tmp_path: Path) -> None:
    model = make_model().to(torch.bfloat16)
    assert fit(model, tmp_path).best_score > 0.9
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_accumulation_in_bfloat16_adds_up_in_float32(tmp_path: Path) -> None:
    """Micro-batches of one text each against all at once."""
    once, many = make_model(), make_model()
    one_step = SETTINGS.model_copy(update={"epochs": 1, "warmup": 0.0, "learning_rate": 1e-3})
    for model, size, passes in ((once, 64, 1), (many, 1, 64)):
        settings = one_step.model_copy(update={"batch_size": size, "accumulation": passes})
        fit(model, tmp_path / str(size), settings, examples=make_examples(64), dtype=torch.bfloat16)
    start = make_model()
    for a, b, old in zip(once.parameters(), many.parameters(), start.parameters(), strict=True):
        moved = (a - old).abs().mean()
        assert moved > 0
        assert (a - b).abs().mean() < 0.2 * moved
