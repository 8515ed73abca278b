"""The one declaration of the graph: what each setting makes stale, and what derives from it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from stillhouse.code_of_parts import CODE
from stillhouse.config.project import load_project
from stillhouse.shapes import Where
from stillhouse.state import State
from stillhouse.steps import STEPS
from tests.made import make_all

ROOT = Path(__file__).resolve().parent.parent
TEXT = """
name: small
sources:
  - {name: wiki, path: wiki, kind: documents}
  - {name: tickets, path: t.jsonl, kind: records, fields: {text: body, label: queue}}
tasks:
  - {name: routing, kind: classification, sources: [tickets, wiki]}
  - {name: gist, kind: summarization, sources: [wiki, tickets]}
  - {name: qa, kind: question_answering, sources: [wiki, tickets], answers: answer}
  - {name: order, kind: extraction, sources: [tickets], answers: order,
     fields: {item: {type: string}}}
teachers: [{version: v1, model: folder, license: MIT}]
soft_labels: {encoding: top_k}
students:
  - {name: small, tasks: [routing]}
  - {name: big, tasks: [routing]}
"""

PARSED, MASKED, UNIQUE = "parsed_documents", "masked_documents", "unique_documents"
CLEANSED = "cleansed_documents"
QUALITY, LEVELS = "pii_quality", "document_confidentiality"
RISK = "reidentification_risk"
PAIRS, SPLITS, TEACHER = "instruction_pairs", "dataset_splits", "teacher_model"
ADAPTED, ANSWERS, SOFT = "adapted_teacher", "teacher_answers", "soft_labels"
TRAINED = {"small/checkpoint", "big/checkpoint"}
QUANTIZED = {"small/quantized_model", "big/quantized_model"}
REPORTS = {"small/evaluation_report", "big/evaluation_report"}
AUDITS = {"small/leak_audit", "big/leak_audit"}
# What a release is held to, beside its report.
PROFILES = {"small/latency_profile", "big/latency_profile"}
RELEASES = {"small/release", "big/release"}
TRAFFIC, DRIFT = "production_traffic", {"small/drift_report", "big/drift_report"}
AB = {"small/ab_test", "big/ab_test"}

BY_DATES = {"by": "time", "test_from": "2025-06-01", "validation_from": "2025-01-01"}

# Each setting of the project file -> exactly the steps whose own recipe it changes. What lies below
# them follows when their content changes.
SHAPES: list[tuple[str, Any, set[str]]] = [
    ("name", "other", REPORTS),
    ("sources.0.path", "elsewhere", {"source_files", LEVELS}),
    ("sources.0.confidentiality", "public", {"source_files"}),
    ("sources.0.label_from", "folder", {"source_files"}),
    ("sources.0.strip_quotes", False, {PARSED}),
    ("sources.1.fields.text", "subject", {PARSED}),
    ("ocr.enabled", False, {PARSED}),
    ("ocr.min_confidence", 0.9, {PARSED}),
    ("ocr.dpi", 150, {PARSED}),
    ("passwords", [{"env": "HANDBOOK_PASSWORD"}], {PARSED}),
    ("programs.libreoffice", "/opt/libreoffice/program/soffice", {PARSED}),
    ("cleansing.enabled", False, {CLEANSED}),
    ("cleansing.min_documents", 9, {CLEANSED}),
    ("cleansing.min_share", 0.3, {CLEANSED}),
    ("cleansing.min_quality", 0.1, {CLEANSED}),
    ("privacy.languages", ["en", "de"], {MASKED, QUALITY}),
    ("privacy.nlp_model", "other", {PARSED, MASKED, QUALITY}),
    ("privacy.operator", "redact", {MASKED, QUALITY}),
    ("privacy.operator", {"PERSON": "surrogate"}, {MASKED, QUALITY}),
    # The usual one, in other words.
    ("privacy.operator", {"default": "pseudonymize", "PERSON": "pseudonymize"}, set()),
    ("privacy.entities", ["PERSON"], {MASKED, QUALITY}),
    ("privacy.thresholds", {"PERSON": 0.9}, {MASKED, QUALITY}),
    ("privacy.allow", ["Ostrey"], {MASKED, QUALITY}),
    ("privacy.deny", ["Falcon*"], {MASKED, QUALITY}),
    ("privacy.context", {"ACCOUNT_NUMBER": ["Kundennummer"]}, {MASKED, QUALITY}),
    ("privacy.countries", ["de"], {MASKED, QUALITY}),
    ("privacy.recognizer", "none", {MASKED, QUALITY}),
    ("privacy.patterns", {"EMPLOYEE_ID": ["E1"]}, {MASKED, QUALITY}),
    ("privacy.phone_regions", ["JP"], {MASKED, QUALITY}),
    ("privacy.train_up_to", "public", {UNIQUE, PAIRS, *RELEASES}),
    ("privacy.markings", {"Grade 7": "restricted"}, {LEVELS}),
    ("privacy.quasi_identifiers", ["date", "place"], {RISK}),
    ("privacy.max_unique", 0.1, RELEASES),  # else compared in every run
    ("privacy.max_below_5", 0.1, RELEASES),
    ("privacy.confidentiality_rules", [{"path": "wiki/**", "level": "restricted"}], {LEVELS}),
    ("privacy.pii_gold", "gold.jsonl", {QUALITY}),
    ("privacy.min_recall", 0.5, RELEASES),  # else compared in every run
    ("dedup.threshold", 0.7, {UNIQUE}),
    ("dedup.keep", "first", {UNIQUE}),
    ("tasks.0.instruction", "Which queue?", {PAIRS}),
    ("tasks.0.labels", ["billing"], {PAIRS}),
    ("tasks.0.sources", ["tickets"], {PAIRS}),
    ("tasks.0.min_examples", 2, {PAIRS}),
    ("tasks.0.passage_words", 99, {PAIRS}),
    ("tasks.0.max_passages", 9, {PAIRS}),
    ("tasks.0.classes", {"billing": "invoices"}, {PAIRS, *REPORTS}),
    ("tasks.0.unlabelled", "teacher", {PAIRS, ANSWERS}),
    ("tasks.0.min_confidence", 0.9, {ANSWERS}),
    ("tasks.1.max_answer_tokens", 9, {ADAPTED, ANSWERS}),
    ("tasks.1.written", 3, {PAIRS, ANSWERS}),
    ("tasks.1.answers", "short", {PARSED, PAIRS}),
    ("tasks.2.question", "asked", {PARSED, PAIRS}),
    ("tasks.2.passage", "page", {PARSED, PAIRS}),
    ("tasks.2.no_answer", "none", {PAIRS, ANSWERS}),
    ("tasks.2.questions_from", ["faq"], {PAIRS}),
    ("tasks.2.grounded", True, {PAIRS, ANSWERS}),
    ("tasks.2.retrieval.passages", 4, {PAIRS}),
    ("tasks.3.fields.item.type", "number", {PAIRS, ANSWERS}),
    ("tasks.3.fields.item.optional", True, {PAIRS, ANSWERS}),
    ("tasks.3.fields.item.list", True, {PAIRS, ANSWERS}),
    ("tasks.3.fields.item.values", ["pump"], {PAIRS, ANSWERS}),
    ("tasks.3.fields.item.grounded", False, {PAIRS, ANSWERS}),
    ("tasks.3.fields.item.description", "a product", {PAIRS, ANSWERS}),
    ("review.pairs", 5, {"review_sample", ANSWERS}),
    ("splits.validation", 0.2, {SPLITS}),
    ("splits.test", 0.1, {SPLITS}),
    ("splits.seed", 8, {SPLITS}),
    ("splits.by", "time", {SPLITS}),
    ("splits", {"by": "time", "test_from": "2025-01-01"}, {SPLITS}),
    ("splits", BY_DATES, {SPLITS}),
    ("splits.group", "customer", {PARSED, UNIQUE, SPLITS}),
    ("splits.held_out.path", "eval.jsonl", {SPLITS}),
    ("splits", {"held_out": {"path": "eval.jsonl", "text": "body"}}, {SPLITS}),
    ("teachers.0.model", "elsewhere", {TEACHER}),
    ("teachers.0.license", "Apache-2.0", {TEACHER}),
    ("teachers.0.adapt.method", "none", {ADAPTED, ANSWERS, SOFT}),
    ("teachers.0.adapt.layers", 3, {ADAPTED}),
    ("teachers.0.adapt.rank", 4, {ADAPTED}),
    ("teachers.0.adapt.epochs", 1, {ADAPTED}),
    ("teachers.0.adapt.learning_rate", 0.1, {ADAPTED}),
    ("teachers.0.adapt.batch_size", 4, {ADAPTED}),
    ("teachers.0.adapt.accumulation", 2, {ADAPTED}),
    ("teachers.0.adapt.warmup", 0.2, {ADAPTED}),
    ("teachers.0.adapt.weight_decay", 0.2, {ADAPTED}),
    ("teachers.0.adapt.patience", 3, {ADAPTED}),
    ("teachers.0.adapt.max_tokens", 64, {ADAPTED, ANSWERS, SOFT}),
    ("teachers.0.adapt.seed", 9, {ADAPTED}),
    # Of an adapted teacher, only how its report asks the weights as they came.
    ("teachers.0.prompt.form", "plain", REPORTS),
    ("teachers.0.prompt.calibrate", True, REPORTS),
    ("teachers.0.prompt.max_tokens", 512, REPORTS),
    ("teachers.0.prompt.shots", 2, set()),
    ("teachers.0.prompt.choose", "nearest", set()),
    ("soft_labels.encoding", "hidden", {SOFT}),
    ("soft_labels.k", 8, {SOFT}),
    ("students.0.init.layers", 2, {"small/checkpoint"}),
    ("students.0.init.vocabulary", "full", {"small/checkpoint"}),
    ("students.0.distillation.alpha", 0.1, {"small/checkpoint"}),
    ("students.0.distillation.alignment", 2.0, {"small/checkpoint"}),
    ("students.0.distillation.epochs", 9, {"small/checkpoint"}),
    ("students.0.distillation.learning_rate", 0.1, {"small/checkpoint"}),
    ("students.0.distillation.batch_size", 4, {"small/checkpoint"}),
    ("students.0.distillation.accumulation", 2, {"small/checkpoint"}),
    ("students.0.distillation.warmup", 0.2, {"small/checkpoint"}),
    ("students.0.distillation.weight_decay", 0.2, {"small/checkpoint"}),
    ("students.0.distillation.patience", 3, {"small/checkpoint"}),
    ("students.0.distillation.max_tokens", 64, {"small/checkpoint", "small/quantized_model"}),
    ("students.0.distillation.seed", 9, {"small/checkpoint", "small/quantized_model"}),
    ("students.0.quantization.bits", 8, {"small/quantized_model"}),
    ("students.0.quantization.group_size", 32, {"small/quantized_model"}),
    ("students.0.quantization.calibration_texts", 9, {"small/quantized_model"}),
    ("gates.max_score_drop", 0.1, REPORTS),
    ("gates.max_accuracy_drop", 0.1, REPORTS),  # as it was called once
    ("gates.max_quantization_drop", 0.1, REPORTS),
    ("gates.max_ece", 0.2, REPORTS),
    ("gates.max_reject_rate", 0.2, RELEASES),  # else compared in every run
    ("gates.tasks.routing.max_score_drop", 0.1, REPORTS),
    ("gates.tasks.routing.max_quantization_drop", 0.1, REPORTS),
    ("gates.tasks.routing.max_ece", 0.1, REPORTS),
    ("calibration.precision", 0.9, REPORTS),
    ("calibration.person_cost", 40, REPORTS),
    ("edge_cases.per_kind", 3, REPORTS),
    ("edge_cases.max_failures", 0.1, REPORTS),
    ("edge_cases.seed", 8, REPORTS),
    ("release.require", ["pii_quality"], RELEASES),
    ("economics.prices", "prices.yaml", {"tco_report"}),
    ("leak_audit.canaries", {1: 2}, {*TRAINED, *AUDITS}),
    ("leak_audit.share", 0.1, {*TRAINED, *AUDITS}),
    ("leak_audit.seed", 8, {*TRAINED, *AUDITS}),  # canaries are drawn from it
    ("leak_audit.candidates", 99, AUDITS),
    ("leak_audit.texts", 99, AUDITS),
    ("leak_audit.generations", 99, AUDITS),
    ("leak_audit.tokens", 9, AUDITS),
    ("leak_audit.answers", 9, AUDITS),
    ("leak_audit.attacks", "own.yaml", set()),  # of the file its content counts
    # Rules are set before the audit runs.
    ("leak_audit.rules.exposure", 9, AUDITS),
    ("leak_audit.rules.prefixes", 0.1, AUDITS),
    ("leak_audit.rules.membership", 0.6, AUDITS),
    ("leak_audit.rules.personal", 0.1, AUDITS),
    ("leak_audit.rules.attacks", 0.1, AUDITS),
    ("leak_audit.rules.vocabulary", 0.2, AUDITS),
    # Of another load other figures come; limits are set before it is measured.
    ("latency.concurrency", [1], PROFILES),
    ("latency.rates", [2.0], PROFILES),
    ("latency.seconds", 9, PROFILES),
    ("latency.requests", 9, PROFILES),
    ("latency.warmup", 9, PROFILES),
    ("latency.timeout", 9, PROFILES),
    ("latency.texts", 9, PROFILES),
    ("latency.answer_tokens", 9, PROFILES),
    ("latency.seed", 9, PROFILES),
    ("latency.limits.concurrency", 2, PROFILES),
    ("latency.limits.max_p95_seconds", 9, PROFILES),
    ("latency.limits.max_p95_ttft_seconds", 9, PROFILES),
    ("latency.limits.max_errors", 0.1, PROFILES),
    ("latency.limits.max_gigabytes", 9, PROFILES),
    # How it runs: nothing stale.
    ("dedup.memory_limit", "1GB", set()),
    ("soft_labels.shard_pairs", 3, set()),
    ("soft_labels.batch_size", 3, set()),
    ("soft_labels.draws", 3, set()),  # of an encoding that is not used
    ("caches.days", 3, set()),
    ("caches.gigabytes", 3, set()),
    ("automation.look_every", 9, set()),
    ("automation.freshness", {"release": 90}, set()),
    ("automation.models_at_once", 2, set()),
    ("automation.redistill.changed", 0.5, set()),
    ("automation.redistill.days", 9, set()),
    ("automation.schedules", [], set()),
    ("automation.alerts.log", True, set()),
    ("automation.alerts.webhook", "http://10.0.0.5:9000/hook", set()),
    ("automation.alerts.mail", {"sender": "a@x", "to": ["b@x"]}, set()),
    ("automation.alerts.overdue_hours", 9, set()),
    ("license_policy.allow", ["MIT"], set()),  # compared in every run
    ("license_policy.commercial", True, set()),
    ("license_policy.monthly_users", 10, set()),
    ("license_policy.region", "DE", set()),
    ("traffic.logs", ["requests.jsonl"], {TRAFFIC, *DRIFT, *AB}),
]


def write(folder: Path, *changes: tuple[str, Any]) -> State:
    values = yaml.safe_load(TEXT)
    for field, value in changes:
        *path, last = field.split(".")
        section: Any = values
        for part in path:
            key: Any = int(part) if part.isdigit() else part
            section = section[key] if isinstance(key, int) else section.setdefault(key, {})
        section[last] = value
    (folder / "stillhouse.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return State(load_project(folder))


def stale(state: State) -> set[str]:
    return {a.name for a in state.artefacts() if state.why_stale(a) is not None}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_all(write(folder))
    assert stale(write(folder)) == set()
    return folder


@pytest.mark.parametrize(("field", "value", "expected"), SHAPES, ids=[s[0] for s in SHAPES])
def test_a_setting_makes_exactly_these_steps_stale(
    made: Path, field: str, value: Any, expected: set[str]
) -> None:
    assert stale(write(made, (field, value))) == expected


def test_answers_of_another_order_of_fields_are_others(tmp_path: Path) -> None:
    item, count = {"type": "string"}, {"type": "integer"}
    make_all(write(tmp_path, ("tasks.3.fields", {"item": item, "count": count})))
    turned = write(tmp_path, ("tasks.3.fields", {"count": count, "item": item}))
    assert stale(turned) == {PAIRS, ANSWERS}


# The same of a teacher that nobody adapts. Labels and students follow its digest, which is that of
# its prompts too (see teacher/unadapted.py).
SHAPES_UNADAPTED: list[tuple[str, Any, set[str]]] = [
    ("teachers.0.prompt.form", "plain", {ADAPTED, *REPORTS}),
    ("teachers.0.prompt.calibrate", True, {ADAPTED, *REPORTS}),
    ("teachers.0.prompt.max_tokens", 999, {ADAPTED, *REPORTS}),
    ("teachers.0.prompt.shots", 9, {ADAPTED}),
    ("teachers.0.prompt.choose", "nearest", {ADAPTED}),
    ("tasks.0.classes", {"billing": "invoices"}, {PAIRS, ADAPTED, *REPORTS}),
    ("tasks.3.fields.item.description", "a product", {PAIRS, ADAPTED, ANSWERS}),
    ("teachers.0.adapt.rank", 4, set()),
    ("teachers.0.adapt.seed", 9, set()),
]


@pytest.mark.parametrize(
    ("field", "value", "expected"), SHAPES_UNADAPTED, ids=[s[0] for s in SHAPES_UNADAPTED]
)
def test_a_setting_makes_exactly_these_stale_of_a_teacher_that_is_not_adapted(
    tmp_path: Path, field: str, value: Any, expected: set[str]
) -> None:
    unadapted = ("teachers.0.adapt", {"method": "none"})
    make_all(write(tmp_path, unadapted))
    assert stale(write(tmp_path, unadapted)) == set()
    assert stale(write(tmp_path, unadapted, (field, value))) == expected


# The same of a teacher that a server runs, and of students that begin as other models. What its
# tokenizer holds counts, not where it lies.
OWN = {"from": "small", "license": "MIT", "layers": "all"}
SERVED: list[tuple[str, Any]] = [
    ("teachers.0.model", "openai:http://127.0.0.1:8000/v1#m"),
    ("teachers.0.tokenizer", "folder"),
    ("teachers.0.adapt.method", "none"),
    *((f"students.{number}.init", {**OWN}) for number in range(2)),
]
SHAPES_SERVED: list[tuple[str, Any, set[str]]] = [
    ("teachers.0.tokenizer", "elsewhere", set()),
    ("teachers.0.endpoint.log_probs", "top", {TEACHER}),
    ("teachers.0.endpoint.sampling.temperature", 1.0, {TEACHER}),
    ("teachers.0.endpoint.sampling.top_p", 0.5, {TEACHER}),
    ("teachers.0.endpoint.sampling.seed", 9, {TEACHER}),
    ("teachers.0.endpoint.extra", {"chat_template_kwargs": {"a": 1}}, {TEACHER}),
    ("teachers.0.endpoint.api_key.env", "KEY", set()),
    ("teachers.0.endpoint.api_key.file", "key", set()),
    ("teachers.0.endpoint.network", "any", set()),
    ("teachers.0.endpoint.concurrency", 2, set()),
    ("teachers.0.endpoint.timeout", 9, set()),
    ("teachers.0.endpoint.patience", 9, set()),
    ("students.0.init.from", "other", {"small/checkpoint"}),
    ("students.0.init.license", "Apache-2.0", {"small/checkpoint"}),
    ("students.0.init.layers", 2, {"small/checkpoint"}),
]


def test_a_setting_makes_exactly_these_stale_of_a_teacher_that_a_server_runs(
    tmp_path: Path,
) -> None:
    make_all(write(tmp_path, *deepcopy(SERVED)))
    assert stale(write(tmp_path, *deepcopy(SERVED))) == set()
    for field, value, expected in SHAPES_SERVED:
        assert stale(write(tmp_path, *deepcopy(SERVED), (field, value))) == expected, field


# The same where requests are read. Limits of drift are compared in every run.
SHAPES_WATCHED: list[tuple[str, Any, set[str]]] = [
    ("traffic.format", "serve", {TRAFFIC}),
    ("traffic.task.field", "metadata.task", {TRAFFIC}),
    ("traffic.task.names", {"r": "routing"}, {TRAFFIC}),
    ("traffic.models", {"prod": "small"}, {TRAFFIC}),
    ("traffic.feedback.score", "scores.0.value", {TRAFFIC}),
    ("traffic.feedback.answer", "corrected", {TRAFFIC}),
    ("traffic.feedback.metric", "metrics.solved", {TRAFFIC}),
    ("traffic.retention_days", 3, {TRAFFIC}),
    ("traffic.sample", 0.5, {TRAFFIC}),
    ("traffic.max_requests", 5, {TRAFFIC}),
    ("drift.window_days", 3, DRIFT),
    ("drift.texts", 60, DRIFT),
    ("drift.min_texts", 60, DRIFT),
    ("drift.sources", ["wiki"], DRIFT),
    ("drift.teacher_requests", 0, DRIFT),
    ("drift.seed", 8, DRIFT),
    ("drift.false_alarms", 0.01, set()),
    ("drift.auc", 0.7, set()),
    ("drift.psi", 0.7, set()),
    ("drift.novel", 0.7, set()),
    ("drift.unknown_words", 0.7, set()),
    ("drift.confidence", 0.7, set()),
    ("drift.disagreement", 0.7, set()),
    ("drift.cool_down_days", 3, set()),
    # Terms of a test are set before it.
    ("ab_test.against", "teacher", AB),
    ("ab_test.measure", "outcome", AB),
    ("ab_test.margin", 0.1, AB),
    ("ab_test.requests", 99, AB),
    ("ab_test.look_every", 99, AB),
    ("ab_test.alpha", 0.1, AB),
    ("ab_test.power", 0.9, AB),
    ("ab_test.seed", 8, AB),
    ("privacy.operator", "redact", {MASKED, QUALITY, TRAFFIC}),
    ("tasks.0.instruction", "Which queue?", {PAIRS, TRAFFIC}),
]


def test_a_setting_makes_exactly_these_stale_where_traffic_is_read(tmp_path: Path) -> None:
    watched = ("traffic.logs", ["requests.jsonl"])
    make_all(write(tmp_path, watched))
    for field, value, expected in SHAPES_WATCHED:
        assert stale(write(tmp_path, watched, (field, value))) == expected, field


def test_every_setting_is_in_the_table() -> None:
    """A new setting must say what it makes stale."""
    from stillhouse.config.project import Project

    found: set[str] = set()

    def collect(model: Any, prefix: str) -> None:
        for name, field in model.model_fields.items():
            inner = steps_models(field.annotation)
            label = f"{prefix}{field.alias or name}"
            for section in inner:
                collect(section, f"{label}.")
            if not inner:
                found.add(label)

    collect(Project, "")
    # By number, or by the name of a task or field.
    named = ("routing", "item")
    fields = [s[0] for s in [*SHAPES, *SHAPES_WATCHED, *SHAPES_SERVED]]
    places = [[p for p in f.split(".") if not p.isdigit() and p not in named] for f in fields]
    tested = {".".join(parts) for parts in places} - {"gates.max_accuracy_drop"}
    # Names, and fields of one possible value.
    others = {
        *("file", "data_dir", "sources.name", "sources.kind", "sources.fields.id"),
        *("sources.fields.label", "sources.fields.created", "tasks.name", "tasks.kind"),
        *("teachers.version", "students.name"),
        # Who accepted what, and where teachers come from.
        *(f"license_policy.accepted_terms.{n}" for n in ("terms", "by", "when", "note")),
        "teacher_registry",
        *("students.teacher", "students.tasks"),
        "students.distillation.temperature",  # below
        "students.quantization.method",
        *(f"privacy.confidentiality_rules.{n}" for n in ("level", "source", "path", "date")),
        *(f"privacy.confidentiality_rules.{n}" for n in ("lowered_by", "reason")),  # likewise
        # Which only stand beside others: above they are set together.
        *("splits.test_from", "splits.validation_from", "splits.held_out.text"),
        *("passwords.env", "passwords.file"),  # in a list that is empty here: "passwords" above
        *(f"automation.schedules.{n}" for n in ("name", "cron", "time_zone", "does")),  # likewise
        *(f"automation.alerts.mail.{n}" for n in ("sender", "to", "relay")),
    }
    assert found - tested == others


def steps_models(annotation: Any) -> list[Any]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for inner in getattr(annotation, "__args__", ()) for m in steps_models(inner)]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("answers", "truth", {PARSED, PAIRS}),
        ("fields", {"product": "string"}, {PARSED, PAIRS}),
        ("sources", ["tickets"], {PARSED, PAIRS}),
        # Documents have no columns.
        ("sources", ["tickets", "mails", "wiki"], {PAIRS}),
        ("instruction", "As JSON.", {PAIRS}),
    ],
)
def test_what_tasks_read_of_records_shapes_parsing(
    tmp_path: Path, field: str, value: Any, expected: set[str]
) -> None:
    def settings(**changes: Any) -> dict[str, Any]:
        values = yaml.safe_load(TEXT)
        values["sources"].append({**values["sources"][1], "name": "mails"})
        task = {"name": "parts", "kind": "extraction", "sources": ["tickets", "mails"]}
        task |= {"answers": "order", "fields": {"number": "string"}}
        values["tasks"].append(task | changes)
        (tmp_path / "stillhouse.yaml").write_text(yaml.safe_dump(values))
        where = Where(load_project(tmp_path))
        ordinary = [s for s in STEPS.values() if s.scope == "project" and not s.on_demand]
        return {s.name: s.settings(where) for s in ordinary}

    before, after = settings(), settings(**{field: value})
    assert {name for name in before if before[name] != after[name]} == expected
    # As it comes back from the record.
    assert json.loads(json.dumps(before)) == before


def test_another_students_temperature_is_none_of_a_students_business(made: Path) -> None:
    state = write(made, ("students.0.distillation.temperature", 4.0))
    # The soft labels are kept for its temperature too; the other student's are what they were.
    found = {a.name: state.why_stale(a) for a in state.artefacts()}
    assert "temperatures" in str(found[SOFT])
    assert found["small/checkpoint"] is not None
    assert found["big/checkpoint"] is None


@pytest.mark.parametrize(
    ("encoding", "temperatures", "draws", "k"),
    [
        # Classes' probabilities, or hidden states, hold at any temperature; draws don't.
        (None, True, True, False),
        ("hidden", False, False, False),
        ("sampled", True, True, False),
        ("top_k", True, False, True),
    ],
)
def test_settings_of_encodings_count_where_a_task_has_them(
    tmp_path: Path, encoding: str | None, temperatures: bool, draws: bool, k: bool
) -> None:

    def written(*changes: tuple[str, Any]) -> State:
        # The other student learns one whose answers are written, from soft labels too.
        other = [("students.1.tasks", ["routing", "gist"]), ("students.1.distillation.alpha", 0.5)]
        return write(tmp_path, ("soft_labels.encoding", encoding), *other, *changes)

    make_all(written())
    assert stale(written()) == set()
    other = ("students.0.distillation.temperature", 4.0)
    assert (SOFT in stale(written(other))) == temperatures
    assert (SOFT in stale(written(("soft_labels.draws", 3)))) == draws
    assert (SOFT in stale(written(("soft_labels.k", 3)))) == k


def test_labels_are_made_anew_when_another_task_is_learned_from_them(tmp_path: Path) -> None:
    default, both = ("soft_labels.encoding", None), ("students.1.tasks", ["routing", "gist"])
    make_all(write(tmp_path, default, both))
    assert SOFT not in stale(write(tmp_path, default))
    assert SOFT not in stale(write(tmp_path, default, both, ("soft_labels.draws", 3)))
    assert SOFT in stale(write(tmp_path, default, both, ("students.1.distillation.alpha", 0.5)))


def test_a_teacher_that_is_not_adapted_labels_classes_by_their_names(tmp_path: Path) -> None:
    left = [("teachers.0.adapt.method", "none"), ("tasks", yaml.safe_load(TEXT)["tasks"][:1])]
    make_all(write(tmp_path, *left, ("soft_labels.encoding", None)))
    assert stale(write(tmp_path, *left, ("soft_labels.encoding", "labels"))) == set()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("training", {ADAPTED, *TRAINED}),
        ("masking", {MASKED, QUALITY, TRAFFIC}),
        ("measuring", {QUALITY}),
        ("quantization", QUANTIZED),
        ("report", REPORTS),
    ],
)
def test_changed_code_makes_what_it_shapes_stale(
    made: Path, part: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version, places = CODE[part]
    monkeypatch.setitem(CODE, part, (version + 1, places))
    state = write(made)
    assert stale(state) == expected
    chosen = next(a for a in state.artefacts() if a.name in expected)
    assert state.why_stale(chosen) == f"code changed: {part}"


def test_a_step_names_its_own_code_and_nothing_unknown() -> None:
    for step in STEPS.values():
        assert set(step.code) <= set(CODE), step.name
        assert set(step.reads) <= set(STEPS), step.name
    for _, places in CODE.values():
        for place in places:
            assert (ROOT / "stillhouse" / place).exists(), place


# What the code of each part was when its version was last thought about. Comments and docstrings
# don't count. When this test fails: raise the part's version in stillhouse/code_of_parts.py if the
# change makes other results of the same inputs, then run `python -m tests.test_steps`.
REMEMBERED = Path(__file__).with_name("code_of_parts.json")


def test_no_code_changed_without_a_thought_of_its_version() -> None:
    known, now = json.loads(REMEMBERED.read_text()), code_of_parts()
    changed = sorted(part for part in now if known.get(part) != now[part])
    assert not changed, (
        f"the code of {', '.join(changed)} changed: raise its version in "
        "stillhouse/code_of_parts.py if results change, then run `python -m tests.test_steps`"
    )


def code_of_parts() -> dict[str, dict[str, Any]]:
    from stillhouse.storage.files import digest

    found = {}
    for part, (version, places) in CODE.items():
        files = [f for p in places for f in _files(ROOT / "stillhouse" / p)]
        found[part] = {"version": version, "code": digest([_code(f) for f in files])}
    return found


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _code(file: Path) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[0] = ast.Pass()
    return ast.unparse(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_a_moved_project_reuses_everything(made: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(made, tmp_path / "moved")
    assert stale(write(tmp_path / "moved")) == set()


def test_what_lies_below_something_stale_is_stale(made: Path) -> None:
    state = write(made, ("privacy.train_up_to", "public"))
    reasons = {a.name: reason for a, reason in state.statuses().items()}
    assert "settings changed: train_up_to" in str(reasons[PAIRS])
    below = (*TRAINED, *QUANTIZED, *REPORTS, *AUDITS, *RELEASES, *DRIFT, *AB)
    for name in (SPLITS, "review_sample", ADAPTED, SOFT, *below):
        assert " not up to date" in str(reasons[name]), name
    assert "review_sample above it are not up to date" in str(reasons[SPLITS])
    assert f"{PAIRS} above it is not up to date" in str(reasons["review_sample"])
    assert reasons[LEVELS] is None and reasons[TEACHER] is None


def test_inputs_from_outside_are_part_of_the_recipe(made: Path) -> None:
    state = write(made)
    changed: dict[str, Callable[..., str | None]] = {"pseudonym_key": lambda *_: "another key"}
    assert stale(replace(state, outside=changed)) == {MASKED}
    marked: dict[str, Callable[..., str | None]] = {"pii_gold": lambda *_: "other texts"}
    assert stale(replace(state, outside=marked)) == {QUALITY}
    yardstick: dict[str, Callable[..., str | None]] = {"held_out": lambda *_: "other texts"}
    assert stale(replace(state, outside=yardstick)) == {SPLITS}
    reviewed: dict[str, Callable[..., str | None]] = {"reviews": lambda *_: "a filled-in review"}
    assert stale(replace(state, outside=reviewed)) == {"review_sample"}
    told: dict[str, Callable[..., str | None]] = {"answer_reviews": lambda *_: "others"}
    assert stale(replace(state, outside=told)) == {ANSWERS}
    graded: dict[str, Callable[..., str | None]] = {"output_reviews": lambda *_: "graded"}
    assert stale(replace(state, outside=graded)) == REPORTS
    tried: dict[str, Callable[..., str | None]] = {"attacks": lambda *_: "another prompt"}
    assert stale(replace(state, outside=tried)) == AUDITS
    asked: dict[str, Callable[..., str | None]] = {"traffic_logs": lambda *_: "a new line"}
    assert stale(replace(state, outside=asked)) == {TRAFFIC}
    moved: dict[str, Callable[..., str | None]] = {"production": lambda *_: "another release"}
    assert stale(replace(state, outside=moved)) == AB
    unknown: dict[str, Callable[..., str | None]] = {"source": lambda *_: None}
    assert stale(replace(state, outside=unknown)) == set()


if __name__ == "__main__":
    REMEMBERED.write_text(json.dumps(code_of_parts(), indent=1) + "\n")
