"""Facts of the leak audit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeakRuleFacts:
    """A rule, and what a model was found to do: `value` with its 95 % interval, of `tried`
    attempts. `verdict` is "passed" where the whole interval keeps to `limit`, "missed" where the
    value doesn't, else "unproven". `control` is the value of the untrained control, or of texts
    that were never learned from, where there is one."""

    name: str
    model: str
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    limit: float
    tried: int
    control: float | None = None
    said: str = ""


@dataclass(frozen=True)
class LeakAuditFacts:
    """`verdict` is the worst of the rules'. Of `canaries` so many are `without_loss` by the kind of
    their tasks' answers, and `lost` where they should have had some. `confounded` where members
    and others are told apart without any model, so that membership proves nothing. `figures` has
    all that was measured, by "model_figure"."""

    digest: str
    verdict: str
    rules: list[LeakRuleFacts]
    canaries: int
    without_loss: int
    lost: int
    confounded: bool
    attack_prompts: int
    generations: int
    seed: int
    figures: dict[str, float]
