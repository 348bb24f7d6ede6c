"""Similar entities against a loop in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.prediction.similarity import SimilarityTable, build_table


def make_table(seed: int, entities: int = 30) -> SimilarityTable:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(entities, 4)).astype(np.float32)
    matrix[entities // 2] = 0.0  # a vector without a direction
    matrix[1] = matrix[2]  # a tie
    present = rng.random(entities) < 0.8
    present[[0, 1, 2]] = True
    return build_table(matrix, present, "features")


def cosine(table: SimilarityTable, a: int, b: int) -> float:
    x, y = table.matrix[a].astype(np.float64), table.matrix[b].astype(np.float64)
    length = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / length) if length else 0.0


@given(seed=st.integers(0, 10**6), limit=st.integers(0, 8), size=st.integers(0, 30))
def test_similar_entities_are_those_of_a_plain_loop(seed: int, limit: int, size: int) -> None:
    table = make_table(seed)
    rng = np.random.default_rng(seed + 1)
    among = rng.permutation(30)[:size]
    found = table.find_similar(0, among, limit)
    eligible = [int(e) for e in among if table.present[e] and e != 0]
    assert len(found) == min(limit, len(eligible))
    assert len({entity for entity, _, _ in found}) == len(found)
    cosines = [similarity for _, similarity, _ in found]
    assert cosines == sorted(cosines, reverse=True)
    left_out = set(eligible) - {entity for entity, _, _ in found}
    for entity, similarity, rank in found:
        assert entity in eligible
        assert similarity == pytest.approx(cosine(table, 0, entity), abs=1e-6)
        others = [e for e in range(30) if table.present[e] and e != 0]
        better = sum(cosine(table, 0, e) > similarity + 1e-6 for e in others)
        equal = sum(abs(cosine(table, 0, e) - similarity) <= 1e-6 for e in others)
        assert better < rank <= better + equal
    if found:
        assert all(cosine(table, 0, e) <= cosines[-1] + 1e-6 for e in left_out)


def test_equal_ones_come_by_id_and_share_a_rank() -> None:
    table = make_table(0)
    found = table.find_similar(0, np.array([2, 1]), 2)
    assert [entity for entity, _, _ in found] == [1, 2]
    assert found[0][1:] == found[1][1:]


def test_the_table_says_what_it_compares() -> None:
    table = make_table(0)
    assert table.compared == int(table.present.sum()) < 30
    assert table.vectors == "features"
