"""Students: for each in the project file a checkpoint and its quantized form."""

from typing import Any

import dagster as dg

from stillhouse.assets.common import (
    OWNERS,
    AssetDecorator,
    materialize,
    teacher_versions,
    user_errors,
)
from stillhouse.assets.dataset import dataset_splits
from stillhouse.assets.teacher import adapted_teacher, soft_labels, tasks_in
from stillhouse.config.student import Student
from stillhouse.models.importing import describe
from stillhouse.quantize.student import quantize_student
from stillhouse.recipes import CODE_VERSIONS
from stillhouse.report.pictures import learning_curve_markdown
from stillhouse.resources.project import ProjectResource
from stillhouse.storage.provenance import read_provenance
from stillhouse.student.distil import distil_student
from stillhouse.teacher.labelling import header_from, open_store


def build_student_assets(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "checkpoint"]` and `[student, "quantized_model"]`."""
    name = student.name

    def asset(asset_name: str, kinds: set[str], deps: list[Any]) -> AssetDecorator:
        return dg.asset(
            name=asset_name,
            key_prefix=name,
            group_name="students",
            owners=OWNERS,
            kinds=kinds,
            tags={"student": name},
            partitions_def=teacher_versions,
            code_version=CODE_VERSIONS[asset_name],
            pool="gpu",
            deps=deps,
        )

    @asset("checkpoint", {"huggingface", "pytorch"}, [soft_labels, adapted_teacher, dataset_splits])
    def checkpoint(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """The student, cut from its teacher and trained on its soft labels: the best epoch."""
        layout, version = project.layout, context.partition_key
        folder = layout.student(name, version) / "checkpoint"
        with user_errors():
            recipe = project.recipes.student("checkpoint", name, version)
            labels = project.recipes.facts("soft_labels", version)
        scratch = layout.staging("checkpoint") / name / version

        def make() -> dict[str, Any]:
            settings = project.recipes.student_settings(name)
            found = distil_student(
                layout.adapted_teacher(version),
                open_store(layout.soft_labels(version), header_from(labels["header"])),
                folder,
                tasks_in(project, settings.tasks),
                settings,
                state_folder=scratch,
                fingerprint=recipe.fingerprint,
            )
            info = describe(folder)
            return {
                "digest": info.fingerprint,
                "parameters": info.parameters,
                "bytes": info.bytes,
                "layers": info.layers,
                "vocabulary": found.vocabulary,
                "teacher_vocabulary": found.teacher_vocabulary,
                **{k: v for k, v in found.test.items() if k != "score"},
                "best_epoch": found.training.best_epoch,
                "epochs": len(found.training.history),
                "stopped_early": found.training.stopped_early,
                "history": found.training.history,
                "learning_curve_md": learning_curve_markdown(found.training.history),
            }

        teacher = read_provenance(layout.adapted_teacher(version))
        license_name = teacher.license if teacher else None
        return materialize(folder, recipe, make, license_name=license_name, scratch=scratch)

    @asset("quantized_model", {"huggingface", "safetensors"}, [checkpoint, dataset_splits])
    def quantized_model(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """The student's linear layers in few bits, by GPTQ on texts of the training split."""
        current = project.layout.student(name, context.partition_key)
        folder = current / "quantized"
        with user_errors():
            recipe = project.recipes.student("quantized_model", name, context.partition_key)

        def make() -> dict[str, Any]:
            settings = project.recipes.student_settings(name)
            found = quantize_student(
                current / "checkpoint", folder, tasks_in(project, settings.tasks), settings
            )
            info = describe(folder)
            return {
                "digest": info.fingerprint,
                "parameters": info.parameters,
                "bytes": info.bytes,
                "bits": found.quantization.bits,
                "group_size": found.quantization.group_size,
                "quantized_layers": found.quantization.layers,
                "calibration_tokens": found.quantization.calibration_tokens,
                **{k: v for k, v in found.test.items() if k != "score"},
            }

        checkpoint_record = read_provenance(current / "checkpoint")
        license_name = checkpoint_record.license if checkpoint_record else None
        return materialize(folder, recipe, make, license_name=license_name)

    return [checkpoint, quantized_model]
