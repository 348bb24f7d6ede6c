"""The map of entities: what lies together, what is kept, and when it is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from momok.cli import main
from momok.errors import ConfigError, RunError
from momok.prediction.entity_map import SIDE, compute_map, load_map, save_map
from momok.prediction.scorer import Scorer
from momok.prediction.vectors import find_vectors
from momok.training import RunFolder

pytest.importorskip("sklearn")


@pytest.fixture
def scorer(small_run: RunFolder, tmp_path: Path) -> Scorer:
    return Scorer(shutil.copytree(small_run.path, tmp_path / "run"))


def test_principal_components_are_those_of_the_vectors(scorer: Scorer) -> None:
    made = compute_map(scorer, method="pca")
    vectors = find_vectors(scorer).matrix.astype(np.float64)
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ axes[:2].T
    for axis in (0, 1):
        found = made.points[:, axis].astype(np.float64)
        assert abs(np.corrcoef(found, expected[:, axis])[0, 1]) == pytest.approx(1, abs=1e-4)
    spread = np.ptp(made.points, axis=0)
    assert spread.max() == pytest.approx(SIDE, abs=1)
    ratio = np.ptp(expected, axis=0)
    assert spread[1] / spread[0] == pytest.approx(ratio[1] / ratio[0], rel=1e-3)


def test_alike_entities_lie_together(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    count = scorer.graph.num_entities
    groups = np.arange(count) % 2
    rng = np.random.default_rng(0)
    matrix = (rng.normal(size=(count, 8)) + 20 * groups[:, None]).astype(np.float32)
    given = type("V", (), {"matrix": matrix})
    monkeypatch.setattr("momok.prediction.entity_map.find_vectors", lambda _: given)
    made = compute_map(scorer, most=200)
    groups = groups[made.entities]
    apart = np.linalg.norm(made.points[:, None] - made.points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (groups[apart.argmin(axis=1)] == groups).all()
    again = compute_map(scorer, most=200)
    assert (again.points == made.points).all()


def test_a_map_is_read_back(scorer: Scorer) -> None:
    assert load_map(scorer) is None
    made = compute_map(scorer, method="pca", most=10)
    save_map(scorer, made)
    found = load_map(scorer)
    assert found is not None
    assert (found.entities == made.entities).all()
    assert (found.points == made.points).all()
    degrees = scorer.graph.fact_index.degrees
    rest = np.setdiff1d(np.arange(scorer.graph.num_entities), found.entities)
    assert degrees[found.entities].min() >= degrees[rest].max()


def test_a_map_of_another_checkpoint_is_refused(scorer: Scorer) -> None:
    save_map(scorer, compute_map(scorer, method="pca"))
    scorer.selected = {**scorer.selected, "epoch": 99}
    with pytest.raises(RunError, match="another checkpoint than the run has now; momok map"):
        load_map(scorer)


def test_a_damaged_map_is_refused(scorer: Scorer) -> None:
    path = save_map(scorer, compute_map(scorer, method="pca"))
    path.write_text(path.read_text("utf-8").replace('"x": [', '"x": [1,'), "utf-8")
    with pytest.raises(RunError, match=r"map\.json"):
        load_map(scorer)


def test_a_map_of_one_is_none(scorer: Scorer) -> None:
    with pytest.raises(ConfigError, match="2 or more"):
        compute_map(scorer, most=1)


def test_a_seed_that_cannot_be_is_refused() -> None:
    result = CliRunner().invoke(main, ["map", "run", "--seed", "-1"])
    assert (result.exit_code, "-1 is not in the range" in result.output) == (2, True)
