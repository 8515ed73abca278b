"""Students: for each in the project file a checkpoint and its quantized form."""

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.assets.teacher import answers_table, license_of
from stillhouse.config.student import Student
from stillhouse.facts import CheckpointFacts
from stillhouse.resources.project import ProjectResource


def build_student_assets(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "checkpoint"]` and `[student, "quantized_model"]`."""

    @asset_of("checkpoint", student)
    def checkpoint(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """The student, cut from its teacher (or from a model of its own) and trained on its soft
        labels: the best epoch.

        Beside it lies which pairs, documents and files it learned from.
        """

        def make(work: Work) -> CheckpointFacts:
            from stillhouse.dataset.lineage import LEARNED_FROM, write_learned_from
            from stillhouse.models.admission import admit_base
            from stillhouse.student.distil import distil_student

            chosen, layout = _settings(work), work.layout
            base = admit_base(chosen, work.project)
            found = distil_student(
                layout.adapted_teacher(work.version),
                layout.soft_labels(work.version),
                work.facts("soft_labels").headers,
                work.folder,
                work.dataset,
                [work.project.task(name) for name in chosen.tasks],
                chosen,
                answered=answers_table(work),
                audit=work.project.leak_audit,
                scratch=work.scratch,
                fingerprint=work.recipe.fingerprint,
                base=base.source if base else None,
            )
            write_learned_from(
                work.dataset,
                answers_table(work),
                work.lineage,
                chosen.tasks,
                work.folder / LEARNED_FROM,
            )
            return found

        license_name = license_of(project, context.partition_key, student)
        return materialize(context, project, make, license_name=license_name)

    @asset_of("quantized_model", student)
    def quantized_model(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """The student's linear layers in few bits, by GPTQ on texts of the training split."""
        from stillhouse.quantize.student import quantize_student

        return materialize(
            context,
            project,
            lambda work: quantize_student(
                work.layout.student(student.name, work.version) / "checkpoint",
                work.folder,
                work.dataset,
                [work.project.task(name) for name in _settings(work).tasks],
                _settings(work),
            ),
            license_name=license_of(project, context.partition_key, student),
        )

    return [checkpoint, quantized_model]


def _settings(work: Work) -> Student:
    """The student as the project file has it now: definitions may be older."""
    return work.state.where(work.artefact).student
