"""Sections of what runs by itself: when to distil again, schedules, who is told of failures."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from stillhouse.config.base import AssetName, Fraction, Section


class Redistill(Section):
    """When a dataset that moved on is worth another distillation: once pairs that are new or gone
    are `changed` of those that a student learned from, or any are after `days`."""

    changed: Annotated[Fraction, Field(gt=0)] = 0.05
    days: Annotated[float, Field(gt=0)] = 30


class Schedule(Section):
    """What is done by the calendar: `redistill` (ingest, then distil from the version in use),
    `watch` (compare that version's students with new traffic) or `clear_caches`."""

    name: AssetName
    cron: str = Field(description="five fields: minute, hour, day, month, weekday")
    time_zone: str = "UTC"
    does: Literal["redistill", "watch", "clear_caches"] = "redistill"

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        if len(value.split()) != 5 and not value.startswith("@"):
            raise ValueError(
                'write minute, hour, day, month and weekday, as in "0 2 * * 0" (Sundays at two)'
            )
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("use a name as Europe/Berlin, Asia/Bangkok or UTC") from None
        return value


class Mail(Section):
    """A relay that takes mail without a password, as the one of the machine or its network does."""

    sender: str
    to: list[str] = Field(min_length=1)
    relay: str = Field("localhost", description="host or host:port; port 25 by default")


class Alerts(Section):
    """Who is told of a run that failed, or that is under way for longer than `overdue_hours`.

    What is told are names of jobs, steps and versions and the run's id; never a reason, which may
    quote what only this machine should know.
    """

    log: bool = Field(False, description="a line in alerts.jsonl in the data directory")
    webhook: str | None = Field(None, description="a POST of JSON to an internal address")
    mail: Mail | None = None
    overdue_hours: Annotated[float, Field(gt=0)] = 24

    @property
    def any(self) -> bool:
        return self.log or self.webhook is not None or self.mail is not None


# Steps of a stage are looked at together: see the table of steps in docs/architecture.md.
Stage = Literal[
    "corpus",
    "dataset",
    "teacher",
    "students",
    "evaluation",
    "release",
    "selection",
    "monitoring",
    "economics",
]
# Dagster looks at no less than a minute.
Days = Annotated[float, Field(ge=0.001)]

WEEKLY = Schedule(name="weekly_redistillation", cron="0 2 * * 0")


class Automation(Section):
    """`look_every` are the seconds between two looks of a sensor at files and tables;
    `models_at_once` how many steps that run a model may be under way, in all runs together.
    `freshness` says after how many days without a run a stage is overdue; what isn't named never
    is."""

    look_every: Annotated[int, Field(ge=1)] = 60
    models_at_once: Annotated[int, Field(ge=1, le=100)] = 1
    redistill: Redistill = Redistill()
    schedules: list[Schedule] = [WEEKLY]
    alerts: Alerts = Alerts()
    freshness: dict[Stage, Days] = {}
