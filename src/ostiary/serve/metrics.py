"""Counters for Prometheus: requests, decisions, how long stages take; nobody's name, nothing measured of a face.

Several workers write into files of one folder, which ``PROMETHEUS_MULTIPROC_DIR`` names, and any of them adds all
of them up.
"""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)

from ostiary.gate.decision import Decision

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """What one process counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ostiary_requests", "Requests answered.", ("route", "method", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "ostiary_request_seconds",
            "Seconds to answer a request.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._decisions = Counter(
            "ostiary_decisions", "Answers about faces.", ("question", "reason"), registry=self._registry
        )
        self._stages = Histogram(
            "ostiary_stage_seconds",
            "Seconds of a stage of the gate.",
            ("stage",),
            buckets=_SECONDS,
            registry=self._registry,
        )

        self._told = Counter(
            "ostiary_hook_events",
            "Decisions told to a hook, or not.",
            ("hook", "outcome"),
            registry=self._registry,
        )

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request; ``route`` is that of the API, never the path, where a handle may stand."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def said(self, question: str, reason: str) -> None:
        """An answer about a face."""
        self._decisions.labels(question, reason).inc()

    def decided(self, question: str, decision: Decision) -> None:
        """A decision of the gate."""
        self.said(question, decision.reason)
        for stage, milliseconds in decision.milliseconds.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def told(self, hook: str, outcome: str) -> None:
        """What became of a decision that a hook was to be told of."""
        self._told.labels(hook, outcome).inc()

    def text(self) -> bytes:
        """All that was counted, of every worker, as Prometheus reads it."""
        if FOLDER not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
