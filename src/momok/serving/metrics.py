"""What Prometheus reads at ``/metrics``."""

from __future__ import annotations

from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from starlette.types import Scope

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)  # of groups of questions
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Metrics:
    """Counters of one server; not shared with other applications of the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        common: Any = {"namespace": "momok", "registry": self.registry}
        self.requests = Counter(
            "http_requests", "Answered requests.", ("method", "route", "status"), **common
        )
        what = "From the request's first byte to the answer's last."
        self.seconds = Histogram(
            "http_request_seconds", what, ("route",), buckets=_SECONDS, **common
        )
        self.in_flight = Gauge("http_requests_in_flight", "Under way.", **common)
        what = "Questions that the model answered at once."
        self.batch_size = Histogram("batch_questions", what, buckets=_SIZES, **common)
        what = "Decisions written down."
        self.decisions = Counter("review_decisions", what, ("action",), **common)
        self.conflicts = Counter("review_conflicts", "Decisions that came too late.", **common)
        self._model = Gauge("model_info", "1 for the checkpoint served.", ("version",), **common)
        what = "Checkpoints that could not be read."
        self.reload_failures = Counter("model_reload_failures", what, **common)

    def set_model(self, version: str) -> None:
        """Say which checkpoint is served."""
        self._model.clear()
        self._model.labels(version).set(1)

    def count_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered, by its route; what is unknown makes no new counter."""
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
