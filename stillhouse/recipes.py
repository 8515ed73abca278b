"""What each asset is made of: the one place that knows what makes which result stale.

A recipe holds digests of the inputs, the settings that shape the result, and a code version. An
asset whose recipe is that of its artefact on disk has nothing to do; `stillhouse status` compares
the same recipes to say what is stale and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.base import settings_of
from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.storage.provenance import Recipe, read_provenance

if TYPE_CHECKING:
    import pyarrow as pa

CORPUS = ("source_files", "parsed_documents", "masked_documents", "unique_documents")
DATASET = ("instruction_pairs", "dataset_splits", "review_sample")
TEACHER = ("teacher_model", "adapted_teacher", "soft_labels")
STUDENT = ("checkpoint", "quantized_model", "evaluation_report")

# Raise an asset's number when a change of its code changes its result.
CODE_VERSIONS = dict.fromkeys((*CORPUS, *DATASET, *TEACHER, *STUDENT), "1")


class Recipes:
    """Recipes of a project's assets, from what its data directory holds now.

    `folder(...)` says where an asset's artefact and provenance lie. Methods raise `UserError`
    when an asset upstream was never materialized.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.layout = Layout(project.data_path)

    def source_files(self, files: pa.Table) -> Recipe:
        """Of a scan. What lies outside can't be known without looking, so it is never reused."""
        from stillhouse.storage.tables import table_digest

        content = table_digest(files, ["file_id", "label", "confidentiality", "position"])
        return Recipe({"files": content}, {}, CODE_VERSIONS["source_files"])

    def corpus(self, asset: str) -> Recipe:
        """Of an unpartitioned asset other than `source_files`."""
        upstream, settings = self._unpartitioned()[asset]
        inputs = {name: self.digest(name) for name in upstream}
        return Recipe(inputs, settings(), CODE_VERSIONS[asset])

    def teacher(self, asset: str, version: str) -> Recipe:
        teacher = self.project.teacher(version)
        if asset == "teacher_model":
            return Recipe(
                {}, {"model": teacher.model, "license": teacher.license}, CODE_VERSIONS[asset]
            )
        inputs = {"dataset_splits": self.digest("dataset_splits")}
        if asset == "adapted_teacher":
            inputs["teacher_model"] = self.digest("teacher_model", version)
            return Recipe(inputs, settings_of(teacher.adapt), CODE_VERSIONS[asset])
        inputs["adapted_teacher"] = self.digest("adapted_teacher", version)
        settings = {**settings_of(self.project.soft_labels), "temperatures": self.temperatures}
        return Recipe(inputs, settings, CODE_VERSIONS[asset])

    def student(self, asset: str, name: str, version: str) -> Recipe:
        student = self.student_settings(name)
        settings: dict[str, Any]
        if asset == "checkpoint":
            inputs = {
                "dataset_splits": self.digest("dataset_splits"),
                "soft_labels": self.digest("soft_labels", version),
            }
            settings = settings_of(student.distillation) | {"init": settings_of(student.init)}
            settings["tasks"] = student.tasks
        elif asset == "quantized_model":
            inputs = {"checkpoint": self.digest("checkpoint", version, name)}
            settings = settings_of(student.quantization)
        else:
            inputs = {
                "adapted_teacher": self.digest("adapted_teacher", version),
                "checkpoint": self.digest("checkpoint", version, name),
                "quantized_model": self.digest("quantized_model", version, name),
            }
            settings = {"gates": settings_of(self.project.gates)}
        return Recipe(inputs, settings, CODE_VERSIONS[asset])

    @property
    def temperatures(self) -> list[float]:
        """The students' temperatures: what the soft labels have to serve."""
        return sorted({s.distillation.temperature for s in self.project.students})

    def student_settings(self, name: str) -> Any:
        return next(s for s in self.project.students if s.name == name)

    def folder(self, asset: str, version: str | None = None, student: str | None = None) -> Path:
        """Where the asset's `provenance.json` lies."""
        if version is None:
            return self.layout.table(asset).parent
        if student is not None:
            current = self.layout.student(student, version)
            below = {"checkpoint": "checkpoint", "quantized_model": "quantized"}
            return current / below[asset] if asset in below else current
        return {
            "teacher_model": self.layout.teacher_weights,
            "adapted_teacher": self.layout.adapted_teacher,
            "soft_labels": self.layout.soft_labels,
        }[asset](version)

    def digest(self, asset: str, version: str | None = None, student: str | None = None) -> str:
        """Digest of an asset's content as it lies on disk."""
        return str(self.facts(asset, version, student)["digest"])

    def facts(
        self, asset: str, version: str | None = None, student: str | None = None
    ) -> dict[str, Any]:
        """What is known of an asset's content as it lies on disk."""
        found = read_provenance(self.folder(asset, version, student))
        if found is None:
            name = f"{student}/{asset}" if student else asset
            of = f" for teacher version {version}" if version else ""
            raise UserError(
                f"{name} was not materialized{of} yet",
                remedy="materialize it first: `stillhouse run` makes everything in order.",
            )
        return found.facts

    def _unpartitioned(self) -> dict[str, tuple[tuple[str, ...], Callable[[], dict[str, Any]]]]:
        """Upstream assets and settings of each asset of corpus and dataset."""
        project = self.project
        return {
            "parsed_documents": (("source_files",), self._parse_settings),
            "masked_documents": (("parsed_documents",), self._mask_settings),
            "unique_documents": (CORPUS[:3], lambda: settings_of(project.dedup)),
            "instruction_pairs": (("unique_documents",), self._pair_settings),
            "dataset_splits": (("instruction_pairs",), lambda: settings_of(project.splits)),
            "review_sample": (("dataset_splits",), dict),
        }

    def _parse_settings(self) -> dict[str, Any]:
        from stillhouse.corpus.parsed import parse_version

        return {"version": parse_version(self.project)}

    def _mask_settings(self) -> dict[str, Any]:
        from stillhouse.corpus.masked import mask_settings

        settings = mask_settings(self.project.privacy)
        return {**asdict(settings), "version": settings.fingerprint()}

    def _pair_settings(self) -> dict[str, Any]:
        return {
            "tasks": [settings_of(task) for task in self.project.tasks],
            "train_up_to": self.project.privacy.train_up_to,
        }
