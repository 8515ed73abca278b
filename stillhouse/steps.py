"""THE graph: one row a step. Everything else that knows the graph derives from here.

Dagster's deps, partitions, group, kinds and code version; each artefact's recipe and folder; what
`stillhouse status` says; the table in the documentation. To add a step, add its row, the dataclass
of its facts, the plain function that makes it, and the decorated function in assets/.

Settings listed here are those that shape a result. How it is computed (batches of inference,
shards, memory limits) is not among them: changing that makes nothing stale. In training, the batch
size is a setting like the learning rate: it decides what is learned.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stillhouse import facts, shapes
from stillhouse.code_of_parts import (
    CLEANSING_LIBRARIES,
    MASKING_LIBRARIES,
    PARSING_LIBRARIES,
)
from stillhouse.config.base import settings_of
from stillhouse.counted import at_temperature as _at_temperature
from stillhouse.counted import content as _content
from stillhouse.counted import figures as _figures
from stillhouse.counted import gate as _gate
from stillhouse.counted import reviewed as _reviewed
from stillhouse.counted import splits as _splits
from stillhouse.counted import unread as _unread
from stillhouse.shapes import Where
from stillhouse.step import Step
from stillhouse.storage.layout import Layout


def _table(name: str) -> Callable[[Layout, Where], Path]:
    return lambda layout, _: layout.table(name).parent


def _of_student(below: str) -> Callable[[Layout, Where], Path]:
    return lambda layout, at: layout.student(str(at.student_name), str(at.version)) / below


def _none(_: Where) -> dict[str, Any]:
    return {}


_ROWS = (
    Step(
        "source_files", "corpus", "project",
        reads={},
        settings=lambda at: {
            "sources": {s.name: shapes.only(s, *shapes.OF_FILES) for s in at.project.sources}
        },
        facts=facts.SourceFilesFacts,
        code=("sources",), kinds=("file",), folder=_table("source_files"),
        outside=("files",),
    ),
    Step(
        "parsed_documents", "corpus", "project",
        reads={"source_files": _content},
        settings=shapes.parsing,
        facts=facts.ParsedDocumentsFacts,
        code=("parsing",), kinds=("python", "parquet"), folder=_table("parsed_documents"),
        libraries=lambda at: (*PARSING_LIBRARIES, at.project.privacy.nlp_model),
        unfinished=_unread,
    ),
    Step(
        "cleansed_documents", "corpus", "project",
        reads={"parsed_documents": _content}, facts=facts.CleansedDocumentsFacts,
        settings=lambda at: settings_of(at.project.cleansing),
        code=("cleansing",), kinds=("duckdb", "parquet"), folder=_table("cleansed_documents"),
        libraries=lambda _: CLEANSING_LIBRARIES,
    ),
    Step(
        "document_confidentiality", "corpus", "project",
        reads={"source_files": _content, "parsed_documents": _content},
        settings=shapes.confidentiality,
        facts=facts.DocumentConfidentialityFacts,
        code=("confidentiality",), kinds=("duckdb", "parquet"),
        folder=_table("document_confidentiality"),
    ),
    Step(
        "masked_documents", "corpus", "project",
        # The preview shows nothing that is too confidential.
        reads={"cleansed_documents": _content, "document_confidentiality": _gate},
        settings=shapes.masking,
        facts=facts.MaskedDocumentsFacts,
        code=("masking",), kinds=("python", "parquet"), folder=_table("masked_documents"),
        libraries=lambda at: (*MASKING_LIBRARIES, at.project.privacy.nlp_model),
        outside=("pseudonym_key", "vault"),
    ),
    Step(
        "pii_quality", "corpus", "project",
        reads={},
        # `min_recall` is compared in every run; of the gold set its content counts.
        settings=lambda at: {**shapes.masking(at), "gold": at.project.privacy.pii_gold is not None},
        facts=facts.PiiQualityFacts,
        code=("masking", "measuring"), kinds=("python", "parquet"), folder=_table("pii_quality"),
        libraries=lambda at: (*MASKING_LIBRARIES, at.project.privacy.nlp_model),
        outside=("pii_gold",),
    ),
    Step(
        "unique_documents", "corpus", "project",
        reads={
            **dict.fromkeys(("source_files", "parsed_documents", "cleansed_documents"), _content),
            "masked_documents": _content, "document_confidentiality": _content,
        },
        settings=shapes.deduplication,
        facts=facts.UniqueDocumentsFacts,
        code=("deduplication",), kinds=("duckdb", "parquet"), folder=_table("unique_documents"),
    ),
    Step(
        "reidentification_risk", "corpus", "project",
        reads={"unique_documents": _content},
        # Limits are compared in every run.
        settings=lambda at: shapes.only(at.project.privacy, "quasi_identifiers"),
        facts=facts.ReidentificationRiskFacts,
        code=("risk",), kinds=("duckdb", "parquet"), folder=_table("reidentification_risk"),
        libraries=lambda _: ("phonenumbers",),
    ),
    Step(
        "instruction_pairs", "dataset", "project",
        reads={"unique_documents": _content, "pii_quality": _gate, "reidentification_risk": _gate},
        settings=shapes.pairs,
        facts=facts.InstructionPairsFacts,
        code=("tasks",), kinds=("python", "parquet"), folder=_table("instruction_pairs"),
    ),
    Step(
        "review_sample", "dataset", "project",
        reads={"instruction_pairs": _content},
        settings=lambda at: settings_of(at.project.review),
        facts=facts.ReviewSampleFacts,
        code=("tasks", "review"), kinds=("python", "html"), folder=_table("review_sample"),
        outside=("reviews",),
    ),
    Step(
        "dataset_splits", "dataset", "project",
        # Duplicates that were left out count: they keep their family on its side.
        reads={
            "unique_documents": _content, "instruction_pairs": _content,
            "review_sample": lambda found, _: {".overrides": found.overrides},
        },
        settings=shapes.splits,
        facts=facts.DatasetSplitsFacts,
        code=("splits",), kinds=("python", "parquet"), folder=_table("dataset_splits"),
        outside=("held_out",),
    ),
    Step(
        "teacher_model", "teacher", "teacher",
        reads={},
        settings=shapes.teacher,
        facts=facts.TeacherModelFacts,
        code=("importing",), kinds=("huggingface",),
        folder=lambda layout, at: layout.teacher_weights(str(at.version)),
        outside=("source",), replaced=True, heavy=True,
    ),
    Step(
        "adapted_teacher", "teacher", "teacher",
        reads={"teacher_model": _content, "dataset_splits": _splits("train", "validation")},
        settings=shapes.adaptation,
        facts=facts.AdaptedTeacherFacts,
        code=("tasks", "prompts", "adaptation", "training"), kinds=("huggingface", "pytorch"),
        folder=lambda layout, at: layout.adapted_teacher(str(at.version)),
        replaced=True, heavy=True,
    ),
    Step(
        "teacher_answers", "teacher", "teacher",
        reads={"adapted_teacher": _content, "dataset_splits": _splits("train", "unlabelled")},
        settings=shapes.answers,
        facts=facts.TeacherAnswersFacts,
        code=("tasks", "prompts", "answers"), kinds=("pytorch", "parquet"),
        folder=lambda layout, at: layout.teacher_answers(str(at.version)),
        outside=("answer_reviews",), heavy=True,
    ),
    Step(
        "soft_labels", "teacher", "teacher",
        reads={
            "adapted_teacher": _content,
            "teacher_answers": _content,
            "dataset_splits": _splits("train"),
        },
        settings=shapes.soft_labels,
        facts=facts.SoftLabelsFacts,
        code=("tasks", "prompts", "labelling"), kinds=("pytorch", "safetensors"),
        folder=lambda layout, at: layout.soft_labels(str(at.version)),
        heavy=True,
    ),
    Step(
        "checkpoint", "students", "student",
        reads={
            "adapted_teacher": _content,
            "teacher_answers": _content,
            "soft_labels": _at_temperature,
            "dataset_splits": _splits("train", "validation"),
        },
        settings=shapes.distillation,
        facts=facts.CheckpointFacts,
        code=("tasks", "prompts", "initialisation", "distillation", "training"),
        kinds=("huggingface", "pytorch"), folder=_of_student("checkpoint"),
        outside=("base",), replaced=True, heavy=True,
    ),
    Step(
        "quantized_model", "students", "student",
        reads={"checkpoint": _content, "dataset_splits": _splits("train")},
        settings=lambda at: {
            **settings_of(at.student.quantization),
            "max_tokens": at.student.distillation.max_tokens,
            "seed": at.student.distillation.seed,
        },
        facts=facts.QuantizedModelFacts,
        code=("tasks", "prompts", "quantization"), kinds=("huggingface", "safetensors"),
        folder=_of_student("quantized"), replaced=True, heavy=True,
    ),
    Step(
        "latency_profile", "evaluation", "student",
        # A new test text, or new traffic, says nothing of how fast it is.
        reads={"quantized_model": _content, "dataset_splits": _gate},
        settings=shapes.latency, facts=facts.LatencyProfileFacts,
        code=("load",), kinds=("python", "html"),
        folder=lambda layout, at: layout.latency_profile(str(at.student_name), str(at.version)),
        replaced=True, heavy=True,
    ),
    Step(
        "leak_audit", "evaluation", "student",
        reads={
            **dict.fromkeys(("adapted_teacher", "checkpoint", "quantized_model"), _content),
            "dataset_splits": _splits("train", "test"),
        },
        settings=shapes.leak_audit,
        facts=facts.LeakAuditFacts,
        code=("tasks", "prompts", "auditing"), kinds=("python", "html"),
        folder=lambda layout, at: layout.leak_audit(str(at.student_name), str(at.version)),
        outside=("attacks",), replaced=True, heavy=True,
    ),
    Step(
        "evaluation_report", "evaluation", "student",
        reads={
            "teacher_model": _content,
            "adapted_teacher": _content,
            "checkpoint": _content,
            "quantized_model": _content,
            "leak_audit": _content,
            "latency_profile": _content,
            "dataset_splits": _splits("test"),
        },
        settings=shapes.evaluation,
        facts=facts.EvaluationReportFacts,
        code=("tasks", "prompts", "evaluation", "report"), kinds=("python", "html"),
        folder=_of_student(""), heavy=True, outside=("edge_cases", "output_reviews"),
    ),
    Step(
        "release", "release", "student",
        reads={
            **dict.fromkeys(("teacher_model", "adapted_teacher", "checkpoint"), _content),
            **dict.fromkeys(("quantized_model", "evaluation_report", "leak_audit"), _content),
            "latency_profile": _content,
            "document_confidentiality": _content,
            **dict.fromkeys(("pii_quality", "reidentification_risk"), _figures),
            **dict.fromkeys(("review_sample", "teacher_answers"), _reviewed),
        },
        settings=shapes.release,
        facts=facts.ReleaseFacts,
        code=("release",), kinds=("python",), folder=_of_student("release"), replaced=True,
        unfinished=lambda found: found.stale and "its student was stale when it was looked at",
    ),
    Step(
        "version_comparison", "monitoring", "project",
        reads={}, gathers=("evaluation_report",),
        settings=_none,
        facts=facts.VersionComparisonFacts,
        code=("history",), kinds=("python", "parquet"), folder=_table("version_comparison"),
    ),
    Step(
        "tco_report", "economics", "project",
        reads={}, gathers=("evaluation_report",),
        settings=shapes.economics,
        facts=facts.TcoReportFacts,
        code=("economics",), kinds=("python", "html"), folder=lambda layout, _: layout.economics,
        outside=("prices",),
    ),
    Step(
        "teacher_comparison", "selection", "project",
        reads={"dataset_splits": _splits("train", "validation")},
        settings=shapes.candidates,
        facts=facts.TeacherComparisonFacts,
        code=("tasks", "prompts", "evaluation", "selection"), kinds=("pytorch", "parquet"),
        folder=_table("teacher_comparison"), outside=("candidates",), heavy=True, on_demand=True,
    ),
    Step(
        "production_traffic", "monitoring", "project",
        reads={},
        settings=shapes.traffic,
        facts=facts.ProductionTrafficFacts,
        code=("masking", "traffic"), kinds=("python", "parquet"),
        folder=_table("production_traffic"),
        libraries=lambda at: MASKING_LIBRARIES if at.project.traffic.logs else (),
        outside=("traffic_logs",), unfinished=lambda found: found.unfinished, replaced=True,
    ),
    Step(
        "drift_report", "monitoring", "student",
        # Traffic is compared with the dataset as it is now, whatever the student learned from.
        reads={
            "production_traffic": _content,
            "adapted_teacher": _content,
            "quantized_model": _content,
            "dataset_splits": _splits("train", "validation", "test", "unlabelled"),
        },
        settings=shapes.drift,
        facts=facts.DriftReportFacts,
        code=("tasks", "prompts", "evaluation", "drift"), kinds=("python", "parquet"),
        folder=lambda layout, at: layout.drift_report(str(at.student_name), str(at.version)),
        replaced=True, heavy=True, of_one_dataset=False,
    ),
    Step(
        "ab_test", "monitoring", "student",
        reads={
            **dict.fromkeys(("production_traffic", "adapted_teacher", "quantized_model"), _content),
            "dataset_splits": _splits("train"),  # of which a teacher that is not adapted is told
        },
        settings=shapes.ab_test,
        facts=facts.AbTestFacts,
        code=("tasks", "prompts", "evaluation", "ab_test"), kinds=("python", "html"),
        folder=lambda layout, at: layout.ab_test(str(at.student_name), str(at.version)),
        outside=("production",), replaced=True, heavy=True, of_one_dataset=False,
    ),
)  # fmt: skip

STEPS: dict[str, Step] = {step.name: step for step in _ROWS}
