"""What Prometheus reads at ``/metrics``."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from starlette.types import Scope

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Metrics:
    """Counters of one server; not shared with other applications of the process."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "momok_http_requests",
            "Answered requests.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "momok_http_request_seconds",
            "From the request's first byte to the answer's last.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("momok_http_requests_in_flight", "Under way.", registry=registry)
        self.batch_size = Histogram(
            "momok_batch_questions",
            "Questions that the model answered at once.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.decisions = Counter(
            "momok_review_decisions", "Decisions written down.", ("action",), registry=registry
        )
        self.conflicts = Counter(
            "momok_review_conflicts", "Decisions that came too late.", registry=registry
        )
        self._model = Gauge(
            "momok_model_info", "1 for the checkpoint served.", ("version",), registry=registry
        )
        self.reload_failures = Counter(
            "momok_model_reload_failures", "Checkpoints that could not be read.", registry=registry
        )

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

    def render(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
