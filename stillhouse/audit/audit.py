"""The leak audit of a student and of its quantized form, against an untrained control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stillhouse.audit import membership, vocabulary
from stillhouse.audit.attacks import attacks_of
from stillhouse.audit.bounds import Bounded, over_tasks, rate
from stillhouse.audit.continuation import remembered
from stillhouse.audit.control import cut_again
from stillhouse.audit.exposure import by_repeats
from stillhouse.audit.measured import Measured, Tried, measure
from stillhouse.audit.personal import Found, PersonalData
from stillhouse.audit.texts import sampled
from stillhouse.audit.verdict import judge, out_of_reach, too_few, worst
from stillhouse.config.audit import LeakAudit
from stillhouse.config.dataset import Task
from stillhouse.facts import LeakAuditFacts, LeakRuleFacts
from stillhouse.models.loading import load_tokenizer
from stillhouse.storage.files import digest, read_json, write_json
from stillhouse.student.canaries import CANARIES, invent
from stillhouse.student.vocabulary import load_vocabulary
from stillhouse.tasks.kinds import open_tasks

# Beside the page: all that was found, without a value of the vault and without a canary's secret.
FINDINGS = "leak_audit.json"
# Of answers to attack prompts, masked; so many are shown.
SHOWN = 40


@dataclass(frozen=True)
class Audited:
    """The models of an audit: `start` is what the student in `checkpoint` was cut from, its adapted
    teacher or a model of its own; `models` are those to be tried, by name."""

    start: Path
    checkpoint: Path
    models: dict[str, Path]
    max_tokens: int


def audit_leaks(
    audited: Audited,
    dataset: Path,
    tasks: Sequence[Task],
    settings: LeakAudit,
    personal: PersonalData,
    target: Path,
    *,
    scratch: Path,
    attacks: Path | None = None,
) -> LeakAuditFacts:
    """Try what each model gives away; `target` gets the findings in JSON.

    `personal` knows what counts as personal data; `attacks` is the project's own file of prompts.
    The same models and settings find the same, up to rounding. Raises `UserError` where the file
    of attacks can't be read.
    """
    kinds = open_tasks(dataset, tasks)
    planted = _planted(audited.checkpoint)
    canaries = invent(kinds, settings.canaries, settings.seed)
    members, others = (
        {t.name: sampled(dataset, t.name, split, settings.texts, settings.seed) for t in tasks}
        for split in ("train", "test")
    )
    tried = Tried(
        members,
        others,
        # Those that it really learned from: an older student has none, or others.
        canaries=[canary for canary in canaries if canary.key in planted],
        answer_tokens=[token for kind in kinds for token in kind.answer_tokens],
        instructions=[task.instruction for task in tasks],
        attacks=attacks_of(attacks),
    )
    measured = {
        name: measure(folder, tried, settings, max_tokens=audited.max_tokens)
        for name, folder in audited.models.items()
    }
    cut_again(audited.start, audited.checkpoint, scratch / "control")
    control = measure(
        scratch / "control", tried, settings,
        max_tokens=audited.max_tokens, control=True,
    )  # fmt: skip
    made_up = personal.look(control.written)[0]
    blind = membership.confounds(members, others, settings.seed)
    rules: list[LeakRuleFacts] = []
    found: dict[str, Any] = {}
    for name, done in measured.items():
        of_model = _Model(name, done, control, made_up, settings)
        rules += [
            *of_model.exposure(planted, {canary.written for canary in canaries}),
            of_model.prefixes(dataset),
            of_model.membership(membership.confounded(blind)),
            *of_model.personal(personal),
        ]
        found[name] = of_model.found
    vocabularies, kept = _vocabulary(audited, personal, settings)
    rules += vocabularies
    doubtful = [c for c in planted.values() if not c["whole"] or (c["written"] and not c["loss"])]
    content = {
        "rules": [asdict(rule) for rule in rules],
        "canaries": sorted(planted.values(), key=lambda c: c["key"]),
        "models": found,
        "confounds": {name: asdict(bounded) for name, bounded in blind.items()},
        "control": {"personal": _counted(made_up), "exposed": [asdict(e) for e in control.exposed]},
        "vocabulary": kept,
        "settings": {**settings.model_dump(mode="json", exclude={"attacks"})},
        "attacks": [attack.name for attack in tried.attacks],
    }
    write_json(target / FINDINGS, content)
    facts = LeakAuditFacts(
        digest="",
        verdict=worst(rules),
        rules=rules,
        canaries=len(planted),
        without_loss=sum(not c["written"] for c in planted.values()),
        lost=len(doubtful),
        confounded=membership.confounded(blind),
        attack_prompts=len(tried.attacks),
        generations=settings.generations,
        seed=settings.seed,
        figures={f"{r.model}_{r.name}": r.value for r in rules if r.value is not None},
    )
    return replace(facts, digest=digest(content))


def _planted(checkpoint: Path) -> dict[str, dict[str, Any]]:
    """What the student recorded of its canaries as its training began, by key."""
    file = checkpoint / CANARIES
    return {c["key"]: c for c in read_json(file)} if file.exists() else {}


class _Model:
    """One model's figures under each rule; what stands behind them goes to `found`."""

    def __init__(
        self,
        name: str,
        measured: Measured,
        control: Measured,
        made_up: Found,
        settings: LeakAudit,
    ) -> None:
        self.name, self.measured, self.control = name, measured, control
        self.made_up, self.settings, self.rules = made_up, settings, settings.rules
        self.found: dict[str, Any] = {}

    def exposure(
        self, planted: dict[str, dict[str, Any]], styles: set[bool]
    ) -> list[LeakRuleFacts]:
        """Of secrets that stood once: what is repeated was to be deduplicated. One for each of the
        `styles` that were to be planted, in answers (True) or in texts."""
        own, others = by_repeats(self.measured.exposed), by_repeats(self.control.exposed)
        self.found["exposed"] = [asdict(e) for e in self.measured.exposed]
        self.found["exposure"] = [
            {"written": w, "repeats": often, **asdict(b), "control": others[w, often].value}
            for (w, often), b in own.items()
        ]
        found = []
        for written in sorted(styles, reverse=True):
            least = min((often for w, often in own if w == written), default=1)
            lost = any(
                c["written"] == written and (not c["whole"] or (written and not c["loss"]))
                for c in planted.values()
            )
            exposure = own.get((written, least), Bounded(0, 0, 0, 0))
            doubt = "some canaries were cut, or got no loss" if lost else ""
            found.append(
                judge(
                    "exposure_answers" if written else "exposure_texts",
                    self.name,
                    exposure,
                    self.rules.exposure,
                    control=others[written, least].value if (written, least) in others else None,
                    doubt=doubt or self._doubt(exposure),
                    note=f"they stood {least} times, as none was to stand once"
                    if least > 1
                    else "",
                )
            )
        return found

    def _doubt(self, exposure: Bounded) -> str:
        limit, candidates = self.rules.exposure, self.settings.candidates
        return out_of_reach(candidates, limit) or too_few(exposure.tried, limit)

    def prefixes(self, dataset: Path) -> LeakRuleFacts:
        (members, others), (of_members, of_others) = self.measured.begun, self.measured.went_on
        control = self.control.went_on
        hits = remembered(members, of_members, control[0], dataset)
        besides = remembered(others, of_others, control[1], dataset)
        share = rate(sum(besides), len(besides))
        self.found["prefixes"] = {
            "tried": len(hits),
            "as_it_went_on": sum(of_members),
            "remembered": sum(hits),
            "others": len(besides),
            "others_as_they_went_on": sum(of_others),
        }
        return judge(
            "prefixes", self.name, rate(sum(hits), len(hits)), self.rules.prefixes,
            control=share.value if besides else None,
        )  # fmt: skip

    def membership(self, confounded: bool) -> LeakRuleFacts:
        sides = [
            {task: list(zip(mine, self.control.read[i][task], strict=True))
             for task, mine in self.measured.read[i].items()}
            for i in (0, 1)
        ]  # fmt: skip
        areas = membership.areas(sides[0], sides[1])
        scores = {name: over_tasks(list(of_task.values())) for name, of_task in areas.items()}
        self.found["membership"] = {
            name: {
                **asdict(scores[name]),
                "by_task": {task: asdict(area) for task, area in of_task.items()},
            }
            for name, of_task in areas.items()
        }
        return judge(
            "membership",
            self.name,
            max(scores.values(), key=lambda bounded: bounded.high),
            self.rules.membership,
            control=0.5,
            doubt="both sides differ without any model" if confounded else "",
        )

    def personal(self, personal: PersonalData) -> list[LeakRuleFacts]:
        freely, *_ = personal.look(self.measured.written)
        names = [name for name, _ in self.measured.answers]
        answers, leaking, shown = personal.look([said for _, said in self.measured.answers])
        self.found["personal"] = _counted(freely)
        by_attack = {
            name: sum(leak for n, leak in zip(names, leaking, strict=True) if n == name)
            for name in dict.fromkeys(names)
        }
        self.found["attacks"] = {
            **_counted(answers),
            "by_attack": by_attack,
            "answers": [list(pair) for pair in zip(names, shown, strict=True)][:SHOWN],
        }
        doubt = "" if personal.masker else "no recognizers were asked"
        made_up = self.made_up.leaking / max(1, self.made_up.texts)
        rows = [
            ("personal", freely, self.rules.personal, made_up),
            ("attacks", answers, self.rules.attacks, None),
        ]
        return [
            judge(
                name,
                self.name,
                rate(found.leaking, found.texts),
                limit,
                control=control,
                doubt="" if found.leaking else doubt,
            )
            for name, found, limit, control in rows
        ]


def _vocabulary(
    audited: Audited, personal: PersonalData, settings: LeakAudit
) -> tuple[list[LeakRuleFacts], dict[str, Any]]:
    """Of a student that has all of its teacher's tokens, they tell nothing."""
    words = personal.single_words()
    if load_vocabulary(audited.checkpoint) is None or not any(words.values()):
        return [], {}
    own, whole = (
        vocabulary.kept(words, vocabulary.spoken(load_tokenizer(folder)))
        for folder in (audited.checkpoint, audited.start)
    )
    rule = judge(
        "vocabulary", "student", rate(own.tokens, own.words), settings.rules.vocabulary,
        control=whole.tokens / whole.words if whole.words else None,
    )  # fmt: skip
    return [rule], {"student": asdict(own), "teacher": asdict(whole)}


def _counted(found: Found) -> dict[str, Any]:
    return {
        "texts": found.texts,
        "leaking": found.leaking,
        "recognized": found.recognized,
        **{name: dict(sorted(getattr(found, name).items())) for name in _KINDS},
    }


_KINDS = ("vault", "learned", "made_up")
