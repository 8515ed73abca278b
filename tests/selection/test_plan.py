"""What the doctor says of a teacher and a student, and what it says to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.config.project import Project, load_project
from stillhouse.config.teacher import Adaptation
from stillhouse.errors import UserError
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.selection import probe
from stillhouse.selection.disk import rooms
from stillhouse.selection.machine import Machine
from stillhouse.selection.plan import (
    Plan,
    Texts,
    distilling_need,
    needs,
    plan_of,
    serving_need,
)
from stillhouse.selection.remedies import remedies
from stillhouse.selection.shape import Shape, shape_of
from stillhouse.tasks.common import training_examples
from stillhouse.tasks.kinds import open_tasks

PROJECT = """
name: small
sources: [{name: tickets, path: t.jsonl, kind: records, fields: {text: body, label: queue}}]
tasks: [{name: routing, kind: classification, sources: [tickets]}]
teachers:
  - {version: t-1, model: teacher, license: MIT, adapt: {batch_size: 32, max_tokens: 256}}
students:
  - {name: router, tasks: [routing], init: {layers: 2}, distillation: {batch_size: 32}}
"""


@pytest.fixture
def project(tmp_path: Path, write_tiny_model: Callable[..., Path]) -> Project:
    write_tiny_model(tmp_path / "teacher")
    (tmp_path / "stillhouse.yaml").write_text(PROJECT)
    return load_project(tmp_path)


@pytest.fixture
def plan(project: Project) -> Plan:
    return plan_of(project, "t-1", "router")


def machine(memory: int) -> Machine:
    return Machine("a machine", memory, 0, 4, gpu=False)


@pytest.mark.parametrize("settings", [{}, {"tie_word_embeddings": False}, {"head_dim": 16}])
def test_a_shape_has_the_models_own_number_of_weights(
    tmp_path: Path, write_tiny_model: Callable[..., Path], settings: dict[str, Any]
) -> None:
    import torch

    folder = write_tiny_model(tmp_path / "m", **settings)
    model = load_model(folder, torch.device("cpu"), torch.float32)
    assert shape_of("m", folder).parameters == model.num_parameters()


def test_a_gguf_file_says_the_same_as_what_is_imported_from_it(
    smollm2_wheel: Path, smollm2_folder: Path
) -> None:
    assert shape_of("m", smollm2_wheel) == shape_of("m", smollm2_folder)


@pytest.mark.parametrize(("teacher", "student"), [("t-2", "router"), ("t-1", "rooter")])
def test_a_mistyped_name_is_told_with_those_there_are(
    project: Project, teacher: str, student: str
) -> None:
    with pytest.raises(UserError, match=r"use one of (t-1|router)"):
        plan_of(project, teacher, student)


def test_a_teacher_that_is_gone_is_told(project: Project) -> None:
    (project.root / "teacher" / "config.json").unlink()
    (project.root / "teacher").rename(project.root / "elsewhere")
    with pytest.raises(UserError, match="does not exist"):
        plan_of(project, "t-1", "router")


def test_what_is_said_to_change_fits(plan: Plan) -> None:
    for need in needs(plan, machine(1 << 40)):
        tight = machine(need.size - 1)
        for line in remedies(plan, tight, need):
            assert "nothing smaller" not in line or need.purpose.startswith(("serv", "training, Q"))
    training = next(n for n in needs(plan, machine(1 << 40)) if n.purpose == "training, full")
    said = remedies(plan, machine(training.size - 1), training)
    assert said[0].startswith("students[].distillation: {batch_size: 16, accumulation: 2}: ")
    how = plan.student.distillation.model_copy(update={"batch_size": 16})
    changed = replace(plan, student=plan.student.model_copy(update={"distillation": how}))
    smaller = next(n for n in needs(changed, machine(1)) if n.purpose == "training, full")
    assert smaller.size < training.size


def test_a_smaller_batch_comes_with_what_has_to_be_accumulated(plan: Plan) -> None:
    """Gradients of the batches before are there when the next one begins."""
    alone = distilling_need(plan, machine(1), 32, 256, plan.cut)
    several = distilling_need(plan, machine(1), 16, 256, plan.cut)
    assert "gradients" not in [term.name for term in alone.moments[0]]
    assert "gradients" in [term.name for term in several.moments[0]]


def test_a_gpu_serves_as_many_at_once_as_there_is_room_for(plan: Plan) -> None:
    def rows(memory: int) -> int:
        gpu = Machine("a GPU", memory, 0, 2, gpu=True)
        need = serving_need(plan, gpu, 4)
        (held,) = (term for term in need.terms if term.name == "keys and values")
        cut = plan.cut
        # 512 tokens of room, which is more than texts of 256.
        return held.size // (2 * cut.layers * cut.keys * 512 * gpu.compute)

    assert [rows(size) for size in (1 << 30, 2 << 20, 1 << 10)] == [64, 7, 1]


def test_norms_of_queries_and_keys_are_seen(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    small = {
        "vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
    }  # fmt: skip
    Qwen3ForCausalLM(Qwen3Config(**small)).save_pretrained(tmp_path / "qwen3")
    LlamaForCausalLM(LlamaConfig(**small)).save_pretrained(tmp_path / "llama")
    assert [shape_of(n, tmp_path / n).normed for n in ("qwen3", "llama")] == [True, False]


def test_weights_alone_that_do_not_fit_are_not_talked_away(plan: Plan) -> None:
    large = replace(plan, shape=Shape(80, 8192, 28672, 8192, 1024, 128_256, tied=False))
    need = next(n for n in needs(large, machine(1)) if n.purpose == "labelling")
    assert need.size > 70e9 * 4 and "a smaller teacher" in remedies(large, machine(1), need)[0]
    assert rooms(large, 4)[0].size == pytest.approx(141e9, rel=0.01)


@pytest.mark.parametrize("method", ["lora", "none"])
def test_the_probe_times_the_teachers_own_work(
    plan: Plan,
    routing: Any,
    routing_dataset: Path,
    tiny_teacher: Path,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    monkeypatch.setattr(probe, "SECONDS", 0.0)
    (kind,) = open_tasks(routing_dataset, [routing])
    encoder = Encoder(load_tokenizer(tiny_teacher), 64)
    examples = training_examples(kind, routing_dataset, encoder).examples
    teacher = plan.teacher.model_copy(update={"adapt": Adaptation(method=method, epochs=2)})
    texts = Texts(examples, [kind], 100, routing_dataset, {"routing": (5, 5)})
    shape = shape_of("t", tiny_teacher)
    whole = replace(
        plan, teacher=teacher, weights=tiny_teacher, texts=texts, shape=shape, start=shape
    )
    found = {step.name: step for step in probe.estimates(whole, torch.float32)}
    epochs = plan.student.distillation.epochs
    assert found["distilling"].tokens == epochs * texts.tokens
    if method == "lora":
        assert found["adapting the teacher"].tokens == 2 * texts.tokens
        assert found["labelling"].tokens == texts.tokens
    else:
        assert "adapting the teacher" not in found
        assert found["labelling"].tokens > texts.tokens  # a prompt in words is longer
    (labels,) = (room for room in rooms(whole, 4) if room.name == "soft labels")
    assert labels.size == 5 * 2 * 4 + 5 * 40  # two classes
    for step in found.values():
        about, least, most = step.rate.seconds(step.tokens)
        assert 0 < least <= about <= most


def test_the_doctor_prints_it_and_exits_by_it(project: Project) -> None:
    command = ["doctor", "-p", str(project.root), "--teacher", "t-1", "--student", "router"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    for said in ("training, full", "AdamW", "fits", "student, 4 bits", "Time: not measured"):
        assert said in done.output
    done = CliRunner().invoke(app, [*command, "--gpu-memory", "0.1"])
    assert done.exit_code == 1 and "DOES NOT FIT" in done.output
