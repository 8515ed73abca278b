"""Which settings of the project file shape which result: what `steps.py` puts into each recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stillhouse.config.base import compared_by, settings_of
from stillhouse.config.corpus import operator_of
from stillhouse.config.project import Project
from stillhouse.config.student import Student
from stillhouse.config.teacher import Teacher


@dataclass(frozen=True)
class Where:
    """Which artefact of a step: the teacher version and the student it belongs to."""

    project: Project
    version: str | None = None
    student_name: str | None = None

    @property
    def teacher(self) -> Teacher:
        return self.project.teacher(str(self.version))

    @property
    def student(self) -> Student:
        return self.project.student(str(self.student_name))


def without(section: Any, *names: str) -> dict[str, Any]:
    return {k: v for k, v in compared_by(section).items() if k not in names}


def only(section: Any, *names: str) -> dict[str, Any]:
    return {k: v for k, v in compared_by(section).items() if k in names}


# What the table of source files says of a source; reading its files is none of their business.
OF_FILES = ("path", "kind", "confidentiality", "label_from")


def parsing(at: Where) -> dict[str, Any]:
    sources = at.project.sources
    read = {s.name: at.project.reading(s.name) for s in sources if s.kind == "records"}
    return {
        "sources": {s.name: without(s, *OF_FILES) for s in sources},
        "columns": {name: [settings_of(c) for c in columns] for name, columns in read.items()},
        "nlp_model": at.project.privacy.nlp_model,
        "ocr": settings_of(at.project.ocr),
        "passwords": [settings_of(password) for password in at.project.passwords],
        "programs": settings_of(at.project.programs),
    }


# Settings of privacy that are about what becomes of documents.
AFTER_MASKING = (
    *("train_up_to", "markings", "confidentiality_rules"),
    *("quasi_identifiers", "max_unique", "max_below_5"),
)


def masking(at: Where) -> dict[str, Any]:
    """What is masked and how; not what becomes of it, nor how it is measured.

    Operators in one form, however they were written: only those other than the usual one.
    """
    found = without(at.project.privacy, "pii_gold", "min_recall", *AFTER_MASKING)
    chosen = found["operator"]
    default = operator_of(chosen, "default")
    others = {kind: operator for kind, operator in chosen.items() if operator != default}
    usual = default == "pseudonymize" and not others
    return {**found, "operator": default if usual else {"default": default, **others}}


def confidentiality(at: Where) -> dict[str, Any]:
    found = only(at.project.privacy, "markings", "confidentiality_rules")
    # Folders below these are looked at.
    return {**found, "paths": {s.name: str(s.path) for s in at.project.sources}}


def deduplication(at: Where) -> dict[str, Any]:
    """What splits keep together by is no answer, and sets no record apart."""
    group = at.project.splits.group
    found = without(at.project.dedup, "memory_limit") | ({"group": group} if group else {})
    return {**found, "train_up_to": at.project.privacy.train_up_to}


def pairs(at: Where) -> dict[str, Any]:
    """What is kept of a teacher's answers, and how long they may be, is no matter of pairs."""
    later = ("min_confidence", "max_answer_tokens")
    return {
        "tasks": [without(task, *later) for task in at.project.tasks],
        "train_up_to": at.project.privacy.train_up_to,
    }


def splits(at: Where) -> dict[str, Any]:
    """Texts that are held out are masked, and compared, as documents are; where they lie is no
    matter."""
    found = without(at.project.splits, "held_out")
    if (held_out := at.project.splits.held_out) is not None:
        alike = {"text": held_out.text, "threshold": at.project.dedup.threshold}
        found |= {"held_out": alike, "masking": masking(at)}
    return {**found, "tasks": [task.name for task in at.project.tasks]}


def guides(at: Where) -> dict[str, Any]:
    return {task.name: only(task, *task.GUIDE_SETTINGS) for task in at.project.tasks}


def of_tasks(at: Where, *names: str) -> dict[str, Any]:
    """Settings of the tasks that an artefact is about: those of its student, or all."""
    learned = at.student.tasks if at.student_name else [t.name for t in at.project.tasks]
    return {name: only(at.project.task(name), *names) for name in learned}


# How an answer may look, and how it is decoded.
ANSWERS = ("fields", "max_answer_tokens", "grounded", "no_answer")


def teacher(at: Where) -> dict[str, Any]:
    """Of one that a server runs, how it is asked is part of which teacher it is."""
    found: dict[str, Any] = {"model": at.teacher.model, "license": at.teacher.license}
    return found | ({"asked": at.teacher.endpoint.identity} if at.teacher.elsewhere else {})


def adaptation(at: Where) -> dict[str, Any]:
    """Of a teacher that is left as it came, only how it is asked."""
    written = {"answers": of_tasks(at, "max_answer_tokens")}
    if at.teacher.adapt.method != "none":
        return {**settings_of(at.teacher.adapt), **written}
    prompt = settings_of(at.teacher.prompt)
    return {"method": "none", "prompt": prompt, "guides": guides(at), **written}


def candidates(at: Where) -> dict[str, Any]:
    """How teachers are asked before one is chosen, and what a choice is held to."""
    project = at.project
    written = {task.name: only(task, *ANSWERS) for task in project.tasks}
    return {
        "teachers": {t.version: {**only(t, "model", "license", "prompt"),
                                 "adapted": t.adapt.method != "none"} for t in project.teachers},
        "policy": settings_of(project.license_policy),
        "guides": guides(at),
        "answers": written,
        "students": {s.name: settings_of(s.init) for s in project.students},
    }  # fmt: skip


def soft_labels(at: Where) -> dict[str, Any]:
    how, project, adapt = at.project.soft_labels, at.project, at.teacher.adapt
    adapted = adapt.method != "none"
    kept = {"adapted": adapted, "elsewhere": at.teacher.elsewhere}
    encodings = {t.name: how.encoding_of(t, **kept) for t in project.softly_learned}
    found = {"encodings": encodings, **only(adapt, "method", "max_tokens")}
    # The others hold at every temperature; these are kept for those asked.
    for encoding, setting in (("top_k", "k"), ("sampled", "draws")):
        if encoding in encodings.values():
            found |= {setting: getattr(how, setting), "temperatures": temperatures(project)}
    return found


def answers(at: Where) -> dict[str, Any]:
    """What is asked of the teacher, and what of it is kept."""
    asked = ("kind", "unlabelled", "min_confidence", "written")
    return {
        "tasks": of_tasks(at, *asked, *ANSWERS),
        "method": at.teacher.adapt.method,
        "max_tokens": at.teacher.adapt.max_tokens,
        "review": settings_of(at.project.review),
    }


def distillation(at: Where) -> dict[str, Any]:
    init = at.student.init
    return {
        **settings_of(at.student.distillation),
        # The licence of its own model only where it has one.
        "init": settings_of(init) if init.base else without(init, "license"),
        "tasks": at.student.tasks,
        "answers": of_tasks(at, "max_answer_tokens"),
        **canaries(at),
    }


def canaries(at: Where) -> dict[str, Any]:
    """Invented secrets that students learn beside their pairs; none if there are none."""
    audit = at.project.leak_audit
    planted = [[often, count] for often, count in sorted(audit.canaries.items()) if count]
    if not planted:
        return {}
    return {"canaries": planted, "canary_share": audit.share, "canary_seed": audit.seed}


def leak_audit(at: Where) -> dict[str, Any]:
    """Rules too: they are set before the audit runs."""
    found = without(at.project.leak_audit, "attacks", "canaries", "share")
    return {**found, **canaries(at), "tasks": at.student.tasks}


def latency(at: Where) -> dict[str, Any]:
    """Limits too: they are set before it is measured."""
    settings = at.project.latency
    if not settings.measured:
        return {}
    return {**settings_of(settings), "tasks": at.student.tasks}


def evaluation(at: Where) -> dict[str, Any]:
    return {
        "project": at.project.name,
        "gates": without(at.project.gates, "max_reject_rate"),
        "calibration": settings_of(at.project.calibration),
        "edge_cases": settings_of(at.project.edge_cases),
        "tasks": at.student.tasks,
        "answers": of_tasks(at, *ANSWERS),
        # Of the zero-shot teacher.
        "prompt": without(at.teacher.prompt, "shots", "choose"),
        "guides": {name: g for name, g in guides(at).items() if name in at.student.tasks},
    }


def release(at: Where) -> dict[str, Any]:
    """Limits that the report knows nothing of."""
    limits = ("train_up_to", "min_recall", "max_unique", "max_below_5")
    found = {**only(at.project.privacy, *limits), **only(at.project.gates, "max_reject_rate")}
    return {**found, "require": sorted(at.project.release.require)}


def traffic(at: Where) -> dict[str, Any]:
    """How long and how much of it is kept shapes it too; without logs nothing does."""
    if not at.project.traffic.logs:
        return {}
    tasks = [(task.name, task.kind, task.instruction) for task in at.project.tasks]
    students = [student.name for student in at.project.students]
    found = {**settings_of(at.project.traffic), "tasks": tasks, "students": students}
    return {**found, "masking": masking(at)}


# Settings of drift that its verdict is reached by, in every run.
OF_VERDICT = (
    *("false_alarms", "auc", "psi", "novel", "unknown_words", "confidence", "disagreement"),
    "cool_down_days",
)


def drift(at: Where) -> dict[str, Any]:
    if not at.project.traffic.logs:
        return {}
    found = {**without(at.project.drift, *OF_VERDICT), "tasks": at.student.tasks}
    return {**found, "answers": of_tasks(at, *ANSWERS)}


def ab_test(at: Where) -> dict[str, Any]:
    """Terms are fixed before a test, and another test begins with others."""
    if not at.project.traffic.logs:
        return {}
    found = {**settings_of(at.project.ab_test), "tasks": at.student.tasks}
    return {**found, "answers": of_tasks(at, *ANSWERS)}


def economics(at: Where) -> dict[str, Any]:
    """How often it is distilled again stands in for what the price file leaves empty."""
    if at.project.economics.prices is None:
        return {}
    return {"redistill_days": at.project.automation.redistill.days}


def temperatures(project: Project) -> list[float]:
    """The students' temperatures: what the soft labels have to serve."""
    return sorted({s.distillation.temperature for s in project.students})
