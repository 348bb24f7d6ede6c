"""Tasks on a Ray cluster of this machine."""

from __future__ import annotations

import pytest

from momok.cluster import map_on_cluster
from momok.errors import DataError, RunError
from tests.cluster_tasks import build_work
from tests.training.small_training import expect_line

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_results_come_in_order_until_a_task_fails() -> None:
    results = map_on_cluster("local", build_work, [2, 1, 4, 3, 6])
    assert [next(results) for _ in range(3)] == [20, 10, 40]
    with expect_line(DataError, "three: expected another number"):
        next(results)


def test_a_worker_that_dies_is_one_line() -> None:
    with expect_line(RunError, "--ray local: a worker has ended", "what is finished is kept"):
        list(map_on_cluster("local", build_work, [1, 5]))
