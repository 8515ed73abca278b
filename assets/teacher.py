"""The teacher's weights, its adaptation to the tasks, and its soft labels, by teacher version."""

from dataclasses import asdict
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
from stillhouse.lm.tasks import TaskData, tasks_of
from stillhouse.models.fetch import default_cache, locate
from stillhouse.models.importing import describe, import_teacher, tokenizer_fingerprint
from stillhouse.models.licence import check_licence, stated_licences
from stillhouse.recipes import CODE_VERSIONS
from stillhouse.report.pictures import learning_curve_markdown
from stillhouse.resources.project import ProjectResource
from stillhouse.storage.files import bytes_on_disk, digest
from stillhouse.storage.provenance import read_provenance
from stillhouse.storage.tables import read_table
from stillhouse.teacher.adaptation import adapt_teacher
from stillhouse.teacher.labelling import label_pairs


def _asset(name: str, kinds: set[str], **arguments: Any) -> AssetDecorator:
    return dg.asset(
        name=name,
        group_name="teacher",
        owners=OWNERS,
        kinds=kinds,
        partitions_def=teacher_versions,
        code_version=CODE_VERSIONS[name],
        pool="gpu",
        **arguments,
    )


def tasks_in(project: ProjectResource, names: list[str] | None = None) -> list[TaskData]:
    return tasks_of(read_table(project.layout.table("dataset_splits")).to_pylist(), names)


@_asset("teacher_model", {"huggingface"})
def teacher_model(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """The teacher's weights as safetensors, once its licence passed the policy.

    The licence is checked in every run and before anything of the model is opened, so that a
    policy made stricter also stops teachers that are already here.
    """
    settings, version = project.project, context.partition_key
    folder = project.layout.teacher_weights(version)
    with user_errors():
        teacher = settings.teacher(version)
        source = locate(teacher.model, default_cache(), settings.root)
        licence = check_licence(
            version,
            teacher.license,
            stated_licences(source),
            allow=settings.license_policy.allow,
            accepted_terms=settings.license_policy.accepted_terms,
            policy_source=str(settings.file),
        )

    def make() -> dict[str, Any]:
        info = import_teacher(teacher.model, source, folder)
        facts = {k: v for k, v in asdict(info).items() if k not in ("path", "fingerprint")}
        return {
            "digest": info.fingerprint,
            **facts,
            "model": teacher.model,
            "license": licence.licence,
            "license_allowed_by": licence.allowed_by,
            "license_stated": [asdict(s) for s in licence.stated],
        }

    recipe = project.recipes.teacher("teacher_model", version)
    return materialize(folder, recipe, make, license_name=licence.licence)


@_asset("adapted_teacher", {"huggingface", "pytorch"}, deps=[teacher_model, dataset_splits])
def adapted_teacher(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """The teacher with label tokens, its top layers adapted to the tasks by LoRA."""
    settings, layout, version = project.project, project.layout, context.partition_key
    folder, weights = layout.adapted_teacher(version), layout.teacher_weights(version)
    with user_errors():
        recipe = project.recipes.teacher("adapted_teacher", version)
        weights_digest = project.recipes.digest("teacher_model", version)
    scratch = layout.staging("adapted_teacher") / version

    def make() -> dict[str, Any]:
        tasks = tasks_in(project)
        found = adapt_teacher(
            weights,
            folder,
            tasks,
            settings.teacher(version).adapt,
            state_folder=scratch,
            cache=layout.cache("trunk") / weights_digest[:20],
            fingerprint=recipe.fingerprint,
        )
        info = describe(folder)
        return {
            "digest": info.fingerprint,
            "parameters": info.parameters,
            "bytes": info.bytes,
            **{f"zero_shot_{k}": v for k, v in found.zero_shot.items() if k != "score"},
            **{k: v for k, v in found.adapted.items() if k != "score"},
            "chance_accuracy": sum(_chance(task) for task in tasks) / len(tasks),
            "best_epoch": found.training.best_epoch,
            "epochs": len(found.training.history),
            "stopped_early": found.training.stopped_early,
            "history": found.training.history,
            "learning_curve_md": learning_curve_markdown(found.training.history),
        }

    source = read_provenance(weights)
    license_name = source.license if source else None
    return materialize(folder, recipe, make, license_name=license_name, scratch=scratch)


def _chance(task: TaskData) -> float:
    """Accuracy on the test split of always naming the most frequent label of the training split."""
    labels = [row["label"] for row in task.rows["train"]]
    most_frequent = max(sorted(set(labels)), key=labels.count)
    test = [row["label"] for row in task.rows["test"]]
    return test.count(most_frequent) / len(test)


@_asset("soft_labels", {"pytorch", "safetensors"}, deps=[adapted_teacher, dataset_splits])
def soft_labels(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """The teacher's distribution at each response token of the training pairs."""
    settings, layout, version = project.project, project.layout, context.partition_key
    folder, teacher = layout.soft_labels(version), layout.adapted_teacher(version)
    with user_errors():
        recipe = project.recipes.teacher("soft_labels", version)
        teacher_digest = project.recipes.digest("adapted_teacher", version)
        weights_digest = project.recipes.digest("teacher_model", version)

    def make() -> dict[str, Any]:
        adapt = settings.teacher(version).adapt
        store, found = label_pairs(
            teacher,
            folder,
            tasks_in(project),
            settings.soft_labels,
            project.recipes.temperatures,
            fingerprint=teacher_digest,
            tokenizer_fingerprint=tokenizer_fingerprint(teacher),
            max_tokens=adapt.max_tokens,
            top_layers=adapt.layers,
            cache=layout.cache("trunk") / weights_digest[:20],
        )
        return {
            "digest": digest(recipe.fingerprint, teacher_digest),
            "header": asdict(store.header),
            **asdict(found),
            "bytes_per_token": found.bytes / found.tokens,
            "bytes_on_disk": bytes_on_disk(store.folder),
        }

    return materialize(folder, recipe, make)


@dg.asset_check(asset=adapted_teacher, blocking=True, partitions_def=teacher_versions)
def teacher_better_than_chance(
    context: dg.AssetCheckExecutionContext, project: ProjectResource
) -> dg.AssetCheckResult:
    """The adapted teacher beats naming the most frequent label; else it has nothing to teach."""
    facts = project.recipes.facts("adapted_teacher", context.partition_key)
    return dg.AssetCheckResult(
        passed=facts["accuracy"] > facts["chance_accuracy"],
        metadata={
            name: facts[name] for name in ("accuracy", "chance_accuracy", "zero_shot_accuracy")
        },
    )
