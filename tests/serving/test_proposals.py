"""What the review queue offers: one probability per fact, mirrors, filters, orders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from momok.graph.fact_index import FactIndex
from momok.prediction import Predictor
from momok.prediction.calibration.fit import calibrate_run
from momok.serving.proposals import (
    Mirrors,
    QueueFilter,
    choose,
    compute_probability,
    rank_new_facts,
)


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_fact_has_one_probability_however_it_is_decided(own_run: Path, calibrated: bool) -> None:
    if calibrated:
        calibrate_run(own_run)
    predictor = Predictor(own_run, calibrated=calibrated)
    assert (predictor.calibration is not None) == calibrated
    graph = predictor.graph
    found = rank_new_facts(predictor, 0, Mirrors(graph.fact_index))
    assert found
    for (head, relation, tail), probability, known_ids in found[:20]:
        ids = graph.find_entity(head), graph.find_relation(relation), graph.find_entity(tail)
        assert ids == known_ids
        assert compute_probability(predictor, ids) == pytest.approx(probability, abs=1e-5)


def test_a_symmetric_relation_offers_a_fact_in_one_direction(own_run: Path) -> None:
    predictor = Predictor(own_run)
    graph = predictor.graph
    mirrors = Mirrors(graph.fact_index)
    for relation, label in enumerate(graph.relations.labels):
        known = {(h, t) for h, r, t in graph.fact_index.facts.tolist() if r == relation}
        share = sum((t, h) in known for h, t in known) / len(known)
        offered = {
            (head, tail) for (head, _, tail), _, _ in rank_new_facts(predictor, relation, mirrors)
        }
        mirrored = {(tail, head) for head, tail in offered} & offered
        assert not mirrored or share < 0.8, label


def test_mirrors_are_symmetric_and_inverse_facts() -> None:
    near = [(a, 0, b) for a in range(4) for b in range(4) if a != b]
    parts = [(a, 1, 10 + a) for a in range(10)]
    wholes = [(10 + a, 2, a) for a in range(9)]
    likes = [(a, 3, a + 1) for a in range(8)]
    mirrors = Mirrors(FactIndex([np.array(near + parts + wholes + likes)], 30, 4))
    assert mirrors.is_symmetric(0)
    assert not mirrors.is_symmetric(1)
    assert mirrors.find((5, 0, 6)) == [(6, 0, 5)]
    assert mirrors.find((3, 1, 22)) == [(22, 2, 3)]
    assert mirrors.find((9, 1, 19)) == [(19, 2, 9)]  # the one that is missing
    assert mirrors.find((3, 1, 13)) == []  # its mirror is known
    assert mirrors.find((5, 3, 9)) == []


def test_a_filter_chooses_and_sorts(own_run: Path) -> None:
    predictor = Predictor(own_run)
    graph = predictor.graph
    ranked = rank_new_facts(predictor, 0, Mirrors(graph.fact_index))

    def pick(**wanted: object) -> list[float]:
        return [p.probability for p in choose(predictor, ranked, QueueFilter(**wanted))]  # type: ignore[arg-type]

    values = [p.probability for p in ranked]
    middle = sorted(values)[len(values) // 2]
    assert pick() == sorted(values, reverse=True)
    assert pick(least=middle) == [v for v in sorted(values, reverse=True) if v >= middle]
    unsure = [abs(value - 0.5) for value in pick(order="uncertainty")]
    assert unsure == sorted(unsure)
    drawn = pick(order="random")
    assert drawn == pick(order="random")
    assert sorted(drawn) == sorted(values)
    assert drawn != pick()
    france = choose(predictor, ranked, QueueFilter(text="FRANC"))
    assert {p.fact for p in france} == {p.fact for p in ranked if "q:france" in p.fact}
    assert choose(predictor, ranked, QueueFilter(type="river")) == []
    assert len(choose(predictor, ranked, QueueFilter(type="place"))) == len(ranked)
    assert len(choose(predictor, ranked, QueueFilter(modality="text"))) == len(ranked)
