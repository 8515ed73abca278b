"""The leak audit of each student: what it and its quantized form give away."""

from pathlib import Path
from typing import Any

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.audit.verdict import said
from stillhouse.config.student import Student
from stillhouse.facts import LeakAuditFacts
from stillhouse.judged import PASSED, in_words
from stillhouse.resources.project import ProjectResource

CHECK = "leaks_within_rules"


def build_leak_audit_asset(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "leak_audit"]`, with its verdict as a check."""

    @asset_of("leak_audit", student, checks={CHECK: "Every rule of `leak_audit.rules` is kept to."})
    def leak_audit(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """The student and its quantized form, tried against an untrained control: canaries,
        prefixes, membership, personal data in what they write, attack prompts."""
        return materialize(context, project, _audit, checks=lambda facts: [_check(facts)])

    return [leak_audit]


def _audit(work: Work) -> LeakAuditFacts:
    from stillhouse.audit.audit import Audited, audit_leaks
    from stillhouse.audit.page import write_page
    from stillhouse.audit.personal import PersonalData
    from stillhouse.audit.texts import learned_texts
    from stillhouse.corpus.masked import masker_and_vault

    student = work.state.where(work.artefact).student
    project, layout, settings = work.project, work.layout, work.project.leak_audit
    folder = layout.student(student.name, work.version)
    masker, vault = masker_and_vault(project.privacy, layout, project.root)
    facts = audit_leaks(
        Audited(
            _start(work),
            folder / "checkpoint",
            {"student": folder / "checkpoint", "student_quantized": folder / "quantized"},
            student.distillation.max_tokens,
        ),
        work.dataset,
        [project.task(name) for name in student.tasks],
        settings,
        PersonalData(vault, masker, learned_texts(work.dataset, student.tasks)),
        work.folder,
        scratch=work.scratch,
        attacks=project.root / settings.attacks if settings.attacks else None,
    )
    write_page(work.folder, facts, project.name, student.name, work.version)
    return facts


def _start(work: Work) -> Path:
    """What the student was cut from: its teacher, or a model of its own with tokens of answers."""
    from stillhouse.models.admission import admit_base
    from stillhouse.models.loading import load_tokenizer
    from stillhouse.student.base import prepare_base
    from stillhouse.tasks.kinds import open_tasks

    student = work.state.where(work.artefact).student
    teacher = work.layout.adapted_teacher(work.version)
    base = admit_base(student, work.project)
    if base is None:
        return teacher
    kinds = open_tasks(work.dataset, [work.project.task(name) for name in student.tasks])
    target = work.scratch / "base"
    prepare_base(str(student.init.base), base.source, target, kinds, load_tokenizer(teacher), None)
    return target


def _check(facts: LeakAuditFacts) -> dg.AssetCheckResult:
    numbers: dict[str, Any] = {name: round(value, 4) for name, value in facts.figures.items()}
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=facts.verdict == PASSED,
        # Nothing was released yet: the gate of the release decides, or a person.
        severity=dg.AssetCheckSeverity.WARN,
        description=said(facts.rules),
        metadata={"verdict": in_words(facts.verdict), **numbers},
    )
