"""Telling people of runs that failed or are overdue: a log, a webhook, a mail; none by default.

What is told names jobs, steps and versions, and the run where the rest can be read. Reasons may
quote paths and values of the project, so none is sent.
"""

from __future__ import annotations

import json
import smtplib
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from typing import Any

from stillhouse.config.automation import Alerts, Mail
from stillhouse.errors import UserError
from stillhouse.internal import host_and_port, require_internal
from stillhouse.storage.layout import Layout
from stillhouse.storage.log import append_line

PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Alert:
    """`event` is "failed" or "overdue"; `at` an ISO time in UTC."""

    event: str
    project: str
    job: str
    run_id: str
    at: str
    teacher_version: str | None = None
    steps: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        of = f" [{self.teacher_version}]" if self.teacher_version else ""
        steps = f" at {', '.join(self.steps)}" if self.steps else ""
        return f"{self.project}: run {self.run_id[:8]} of {self.job}{of} {self.event}{steps}"


def tell(alerts: Alerts, layout: Layout, alert: Alert) -> list[str]:
    """Tell it in all ways that are asked for; one that fails doesn't keep the others from it.

    Returns what went wrong, a sentence each.
    """
    ways: list[tuple[bool, Callable[[], None]]] = [
        (alerts.log, lambda: append_line(layout.alerts, asdict(alert), what="the log of alerts")),
        (alerts.webhook is not None, lambda: _post(str(alerts.webhook), alert)),
        (alerts.mail is not None, lambda: _mail(alerts.mail, alert)),
    ]
    problems = []
    for asked, way in ways:
        try:
            if asked:
                way()
        except UserError as error:
            problems.append(str(error))
        except (OSError, smtplib.SMTPException) as error:
            problems.append(f"automation.alerts: {type(error).__name__}: {error}")
    return problems


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Where it leads to was not looked at."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(url: str, alert: Alert) -> None:
    require_internal(*host_and_port(url, "automation.alerts.webhook"), "automation.alerts.webhook")
    request = urllib.request.Request(  # noqa: S310 - http and https only, see above
        url,
        data=json.dumps({**asdict(alert), "text": alert.line}).encode(),
        headers={"Content-Type": "application/json"},
    )
    # Without the proxies that the environment may name: they lead outside.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    with opener.open(request, timeout=PATIENCE_SECONDS):
        pass


def _mail(mail: Mail | None, alert: Alert) -> None:
    assert mail is not None  # noqa: S101 - asked for
    host, _, port = mail.relay.partition(":")
    number = int(port) if port.isdigit() else smtplib.SMTP_PORT
    require_internal(host, number, "automation.alerts.mail.relay")
    message = EmailMessage()
    message["Subject"] = alert.line
    message["From"], message["To"] = mail.sender, ", ".join(mail.to)
    message.set_content(f"{alert.line}\n\nAt {alert.at}. Run id: {alert.run_id}\n")
    with smtplib.SMTP(host, number, timeout=PATIENCE_SECONDS) as relay:
        relay.send_message(message)
