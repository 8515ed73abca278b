"""What a report may be told of how its student came about, with a text of the caller's own in each
place that a name of the project file, of a model or of a machine comes to."""

from __future__ import annotations

from typing import Any


def recorded(name: str = "tickets") -> dict[str, Any]:
    estimate = {"value": 0.8, "low": 0.6, "high": 0.9}
    machine = {"processor": name, "cores": 8, "memory": 64 << 30, "system": "Linux", "gpus": []}
    pairs = {"train": 1200, "validation": 60, "test": 90}
    steps = {"teacher_model": 7.5, "adapted_teacher": 108.2, "checkpoint": 7500.0}
    return {
        "audit": {
            "sources": [
                {"name": name, "kind": "records", "files": 3, "documents": 1400, "pairs": pairs}
            ],
            "unread": {},
            "documents": 1500,
            "quarantine": {"corrupt": 2, "scan": 5},
            "left_out": {name: 4},
            "duplicates": {"exact_duplicates": 31, "near_duplicates": 12, "withheld": 3},
            "masked": {
                "documents": 1500,
                "documents_with_entities": 700,
                "entities": 1234,
                "by_kind": {"PERSON": 1000, name: 234},
            },
            "pii_quality": {
                "texts": 400,
                "spans": 1105,
                "masked": 1022,
                "partly_masked": 69,
                "recall": 0.925,
                "recall_low": 0.908,
                "recall_high": 0.939,
                "precision": 0.936,
                "recall_by_kind": {"PERSON": 0.96},
                "not_looked_for": [name],
            },
            "reidentification_risk": {
                "documents": 1400,
                "unique_documents": 140,
                "unique_share": 0.1,
                "below_5_share": 0.12,
                "unique_share_without_words": 0.01,
            },
            "confidentiality": {
                "documents": {"internal": 1500},
                "train_up_to": "internal",
                "pairs": {"internal": pairs},
            },
            "reviews": {
                "labels": {
                    "read": 100, "accepted": 95, "corrected": 3, "rejected": 2,
                    "reject_rate": 0.05, "reject_rate_low": 0.02, "reject_rate_high": 0.11,
                }
            },
            "licence": {
                "teacher": "Apache-2.0",
                "student": name,
                "model": name,
                "allowed_by": "license_policy.allow",
                "stated": [{"licence": name, "where": name}],
                "duties": [f"Do what {name} asks."],
            },
            "dataset": {
                "digest": "ab12",
                **pairs,
                "digests": {"train": "cd34"},
                "by_origin": {"unlabelled": {"train": 60}},
            },
            "models": {"checkpoint": "ef56"},
            "project_file": {"name": name, "now": "0f" * 32, "of": {"checkpoint": "1e" * 32}},
            "runs": {"checkpoint": name},
            "newer": ["parsed_documents"],
        },
        "engineering": {
            "steps": [
                {"step": step, "seconds": seconds, "peaks": {"ram": 2_500_000_000},
                 "machine": machine, "made_at": "2026-01-01", "parameters": 135_000_000,
                 "bytes": 269_000_000}
                for step, seconds in steps.items()
            ],
            "training": {
                "checkpoint": {"epochs": 3, "seconds": 7300.0, "tokens": 900_000,
                               "tokens_per_second": 123.3, "computed_in": "bfloat16"}
            },
            "quantization": {"bits": 4, "group_size": 64, "quantized_layers": 28,
                             "calibration_tokens": 9000, "warnings": [name]},
            "libraries": {"torch": name},
            "texts_per_second": {"student": 55.2},
        },
        "people": {
            "digest": {
                "task": "digest", "judged": 44, "reviewers": 2,
                "accepted": {"teacher": estimate, "student_quantized": estimate},
                "preferred": {"wins": 9, "losses": 1, "ties": 5, "rate": estimate,
                              "p_value": 0.02},
                "read_twice": 40, "alpha": estimate, "kappa": estimate,
            }
        },
    }  # fmt: skip
