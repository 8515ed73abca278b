"""The teacher's weights, its adaptation to the tasks, and its soft labels, by teacher version."""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize, teacher_versions, user_errors
from stillhouse.assets.reviews import check_of
from stillhouse.config.base import settings_of
from stillhouse.config.student import Student
from stillhouse.facts import TeacherAnswersFacts, TeacherModelFacts
from stillhouse.resources.project import ProjectResource
from stillhouse.shapes import temperatures
from stillhouse.state import Artefact
from stillhouse.steps import STEPS
from stillhouse.storage.caches import mark_used
from stillhouse.storage.files import digest

if TYPE_CHECKING:
    from stillhouse.models.admission import Admitted

# Settings of soft labels that each store says itself: one more temperature, or another encoding of
# another task, leaves what the others hold.
SAID_BY_STORES = ("encodings", "k", "draws", "temperatures")
NO_TEACHER = (
    "One answer given to all validation pairs scores as high as this teacher or higher: it has "
    "nothing to teach. Adapt it longer (`teachers[].adapt.epochs`, `learning_rate`, `layers`), "
    "give more examples, or name another teacher."
)
ALL_ALIKE = (
    "All validation pairs have the same answer, so no teacher can be told from that one answer. "
    "Add documents with other answers, or raise `splits.validation`."
)


@asset_of("teacher_model")
def teacher_model(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """The teacher's weights as safetensors, once its licence passed the policy; of one that a
    server runs, what the server is, and its tokenizer.

    The licence is checked in every run and before anything of the model is opened, so that a
    policy made stricter also stops teachers that are already here. So is what a run reads of the
    project's own files only once its students are trained.
    """
    from stillhouse.models.admission import admit, refuse_edited
    from stillhouse.own_files import require_cases, require_usable

    version, settings = context.partition_key, project.project
    with user_errors():
        state = project.state(context.run_id)
        require_usable(settings)
        if state.snapshot:
            require_cases(settings, state.snapshot.path)
        artefact = Artefact(STEPS["teacher_model"], version)
        teacher, record = settings.teacher(version), state.record(artefact)
        admitted = admit(teacher, settings, record.facts if record else None)
        refuse_edited(teacher, record.recipe if record else None, state.recipe(artefact))

    def make(work: Work) -> TeacherModelFacts:
        if work.access:
            from stillhouse.endpoint.importing import import_endpoint

            info = import_endpoint(teacher, admitted.source, work.folder, work.access)
        else:
            from stillhouse.models.importing import import_teacher

            info = import_teacher(teacher.model, admitted.source, work.folder)
        return TeacherModelFacts(
            digest=info.fingerprint,
            model=teacher.model,
            license=admitted.licence.licence,
            license_allowed_by=admitted.licence.allowed_by,
            license_stated=admitted.stated,
            architecture=info.architecture,
            parameters=info.parameters,
            layers=info.layers,
            hidden_size=info.hidden_size,
            vocabulary=info.vocabulary,
            bytes=info.bytes,
            license_duties=list(admitted.licence.duties),
        )

    return materialize(context, project, make, license_name=admitted.licence.licence)


@asset_of("adapted_teacher")
def adapted_teacher(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """The teacher with the tokens of its tasks, its layers adapted to them by LoRA, or left."""
    from stillhouse.teacher.adaptation import adapt_teacher

    return materialize(
        context,
        project,
        lambda work: adapt_teacher(
            work.layout.teacher_weights(work.version),
            work.folder,
            work.dataset,
            work.project.tasks,
            work.teacher.adapt,
            scratch=work.scratch,
            cache=hidden_states(work),
            fingerprint=work.recipe.fingerprint,
            prompt=work.teacher.prompt,
            access=work.access,
        ),
        license_name=license_of(project, context.partition_key),
    )


@asset_of("teacher_answers")
def teacher_answers(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """The teacher's answers to texts that have none, and the pairs that it writes itself: those
    that it is sure of, and that stand in their text where they have to, are learned from."""

    def make(work: Work) -> TeacherAnswersFacts:
        from stillhouse.tasks.running import Runner
        from stillhouse.teacher.answers import answer_pairs
        from stillhouse.teacher.reviewed import review_answers

        folder, adapted = work.layout.adapted_teacher(work.version), work.facts("adapted_teacher")
        return answer_pairs(
            work.folder,
            work.dataset,
            work.project.tasks,
            lambda: Runner(folder, work.dataset, work.teacher.adapt.max_tokens, access=work.access),
            # `min_confidence` is none of it: it chooses among answers.
            teacher_digest=digest(
                adapted.digest, settings_of(work.teacher.prompt), work.recipe.code
            ),
            scores=adapted.by_task,
            staging=work.scratch,
            review=lambda: review_answers(work.project, work.layout, work.folder, work.dataset),
        )

    return materialize(context, project, make)


@asset_of("soft_labels")
def soft_labels(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """The teacher's distribution at each response token of the training pairs, of the tasks that
    some student learns from it."""
    from stillhouse.teacher.adaptation import trained_layers
    from stillhouse.teacher.labelling import label_pairs

    return materialize(
        context,
        project,
        lambda work: label_pairs(
            work.layout.adapted_teacher(work.version),
            work.folder,
            work.dataset,
            work.project.tasks,
            work.project.soft_labels,
            temperatures(work.project),
            softly={task.name for task in work.project.softly_learned},
            answered=answers_table(work),
            # What was labelled under other settings or by other code is labelled again.
            teacher_digest=digest(
                work.facts("adapted_teacher").digest,
                {k: v for k, v in work.recipe.settings.items() if k not in SAID_BY_STORES},
                work.recipe.code,
            ),
            max_tokens=work.teacher.adapt.max_tokens,
            top_layers=trained_layers(work.teacher.adapt, work.project.tasks),
            cache=hidden_states(work),
            access=work.access,
        ),
    )


def answers_table(work: Work) -> Path:
    from stillhouse.teacher.answers import TABLE

    return work.layout.teacher_answers(work.version) / TABLE


def hidden_states(work: Work) -> Path:
    """Where the hidden states of these weights' frozen layers are kept."""
    folder = work.layout.cache("trunk") / str(work.facts("teacher_model").digest)[:20]
    mark_used(folder)
    return folder


def base_of(project: ProjectResource, version: str, student: Student) -> "Admitted | None":
    """What a student begins as, as it is admitted; None where it is cut from its teacher."""
    from stillhouse.models.admission import admit_base

    state, now = project.state(), project.project.student(student.name)
    record = state.record(Artefact(STEPS["checkpoint"], version, student.name))
    same = record is not None and record.recipe.settings.get("init") == settings_of(now.init)
    return admit_base(now, project.project, made=same)


def license_of(
    project: ProjectResource, version: str, student: Student | None = None
) -> str | None:
    """The licence that the teacher is admitted under: its students are under it too, and under that
    of the model that they begin as.

    It is looked at again before each step that makes a model: terms that changed since, or a
    stricter policy, stop a run that begins below the teacher as well.
    """
    from stillhouse.models.admission import admit

    with user_errors():
        record = project.state().record(Artefact(STEPS["teacher_model"], version))
        facts = record.facts if record else None
        settings = project.project
        found = [admit(settings.teacher(version), settings, facts)]
        if student and (base := base_of(project, version, student)):
            found.append(base)
        names = list(dict.fromkeys(one.licence.licence for one in found))
    # Of alternatives, each side of an AND needs its own.
    several = len(names) > 1
    return " AND ".join(f"({n})" if several and " OR " in n else n for n in names)


@dg.asset_check(asset=teacher_answers, blocking=True, partitions_def=teacher_versions)
def answer_reject_rate(
    context: dg.AssetCheckExecutionContext, project: ProjectResource
) -> dg.AssetCheckResult:
    """Reviewers would accept all but `gates.max_reject_rate` of the teacher's answers as they are;
    see `reject_rate`."""
    with user_errors():
        found = project.state().facts_of("teacher_answers", context.partition_key)
    if not found.kept and not found.decided:
        return dg.AssetCheckResult(passed=True, description="The teacher answered nothing.")
    return check_of(found, project.project.gates.max_reject_rate)


@dg.asset_check(asset=adapted_teacher, blocking=True, partitions_def=teacher_versions)
def teacher_better_than_chance(
    context: dg.AssetCheckExecutionContext, project: ProjectResource
) -> dg.AssetCheckResult:
    """The teacher beats the best constant answer on validation; else it has nothing to teach.

    Where one answer is right everywhere nobody can beat it: that warns, and the report says so.
    """
    with user_errors():
        facts = project.state().facts_of("adapted_teacher", context.partition_key)
    return chance_check(facts.score, facts.chance)


def chance_check(score: float, chance: float) -> dg.AssetCheckResult:
    """Of a teacher's score and that of the best constant answer."""
    passed, alike = score > chance, chance >= 1.0
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN if alike else dg.AssetCheckSeverity.ERROR,
        description=ALL_ALIKE if alike else None if passed else NO_TEACHER,
        metadata={"score": round(score, 4), "chance": round(chance, 4)},
    )
