"""Tasks on a Ray cluster of this machine."""

from __future__ import annotations

import pytest

from momok.cluster import map_on_cluster
from momok.errors import DataError, RunError
from tests.cluster_tasks import build_nothing, build_work
from tests.training.small_training import expect_line

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_results_come_in_order_until_a_task_fails() -> None:
    results = map_on_cluster("local", build_work, [2, 1, 4, 3, 6])
    assert [next(results) for _ in range(3)] == [20, 10, 40]
    with expect_line(DataError, "three: expected another number"):
        next(results)


def test_a_worker_that_dies_is_one_line() -> None:
    with expect_line(RunError, "--ray local: a worker has ended", "give the command again"):
        list(map_on_cluster("local", build_work, [1, 5]))


def test_what_cannot_be_built_is_said() -> None:
    with expect_line(DataError, "nothing to build it from"):
        list(map_on_cluster("local", build_nothing, [1]))
