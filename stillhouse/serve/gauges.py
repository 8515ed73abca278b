"""What Prometheus is told: counts and times, and never a word of what was asked."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32)


class Gauges:
    """One server's."""

    def __init__(self) -> None:
        self.registry = known = CollectorRegistry()
        self.requests = Counter(
            "stillhouse_requests",
            "Requests by route and status.",
            ("route", "code"),
            registry=known,
        )
        self.seconds = Histogram(
            "stillhouse_request_seconds",
            "Until the last byte of an answer.",
            ("route",),
            buckets=SECONDS,
            registry=known,
        )
        self.tokens = Counter(
            "stillhouse_tokens", "Tokens read and written.", ("kind",), registry=known
        )
        self.inside = Gauge(
            "stillhouse_requests_inside", "Waiting or being answered.", registry=known
        )
        self.batch = Histogram(
            "stillhouse_batch_requests",
            "Requests in a step of the model.",
            buckets=BATCHES,
            registry=known,
        )
        self.escalated = Counter(
            "stillhouse_escalated",
            "Answers below the threshold of their task.",
            ("task",),
            registry=known,
        )
        self.release = Gauge(
            "stillhouse_release", "1 for the release that answers.", ("student", "release"),
            registry=known,
        )  # fmt: skip
        self.refused = Gauge(
            "stillhouse_release_refused",
            "1 where the channel leads to a release that could not be taken.",
            ("student",),
            registry=known,
        )
        self.logged = Counter(
            "stillhouse_logged", "Requests handed to the log, or dropped.", ("what",),
            registry=known,
        )  # fmt: skip
        self.shadow = Counter(
            "stillhouse_shadow", "Requests that the shadow answered, dropped, or failed.",
            ("what",), registry=known,
        )  # fmt: skip
        self.feedback = Counter(
            "stillhouse_feedback", "Feedback handed to the log.", registry=known
        )

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
