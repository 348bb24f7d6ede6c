"""Graphs for PyKEEN, NetworkX and PyG: the same facts, and back again."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from momok.errors import MissingExtraError
from momok.graph import SPLIT_NAMES, load_graph, to_networkx, to_pyg, to_pykeen

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own dependencies
    pytest.importorskip("pykeen", reason="PyKEEN is not installed")
networkx = pytest.importorskip("networkx")


@pytest.mark.filterwarnings("ignore")
def test_factories_have_the_ids_and_facts_of_the_graph() -> None:
    graph = load_graph("world")
    for split in SPLIT_NAMES:
        factory = to_pykeen(graph, split)
        assert factory.num_entities == graph.num_entities
        assert factory.num_relations == graph.num_relations
        np.testing.assert_array_equal(
            np.unique(factory.mapped_triples.numpy(), axis=0), np.unique(graph.facts(split), axis=0)
        )
        assert factory.entity_id_to_label[5] == graph.entities.labels[5]
        assert factory.relation_id_to_label[2] == graph.relations.labels[2]


def test_every_fact_is_an_edge() -> None:
    graph = load_graph("world")
    made = to_networkx(graph)
    assert made.number_of_nodes() == graph.num_entities
    assert made.number_of_edges() == sum(len(graph.facts(split)) for split in SPLIT_NAMES)
    assert made.nodes["country:FR"]["name"] == "France"
    head, relation, tail = graph.valid[0].tolist()
    labels = graph.entities.labels
    edge = made.edges[labels[head], labels[tail], graph.relations.labels[relation]]
    assert edge == {"name": graph.relation_names[relation], "split": "valid"}
    only = to_networkx(graph, "test")
    assert only.number_of_edges() == len(graph.test)
    assert only.number_of_nodes() == graph.num_entities
    assert networkx.shortest_path_length(made, "country:FR", "city:FR/Paris") == 1


@pytest.mark.filterwarnings("ignore")
def test_a_relation_is_an_edge_type() -> None:
    pytest.importorskip("torch_geometric")
    graph = load_graph("world")
    data = to_pyg(graph, "test")
    assert data.validate()
    assert data["entity"].num_nodes == graph.num_entities
    for modality, features in graph.features.items():
        np.testing.assert_array_equal(data["entity"][modality].numpy(), features.matrix)
        np.testing.assert_array_equal(data["entity"][f"{modality}_mask"].numpy(), features.present)
    number = graph.find_relation("borders")
    edges = data["entity", graph.relations.labels[number], "entity"]
    held_out = graph.test[graph.test[:, 1] == number]
    np.testing.assert_array_equal(edges.edge_label_index.numpy(), held_out[:, [0, 2]].T)
    whole = to_pyg(graph).to_homogeneous()
    heads, tails = whole.edge_index.numpy()
    facts = np.stack([heads, whole.edge_type.numpy(), tails], axis=1)
    np.testing.assert_array_equal(np.unique(facts, axis=0), np.unique(graph.train, axis=0))


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        raise ModuleNotFoundError(name=name.partition(".")[0])

    monkeypatch.setattr("momok.extras.import_module", refuse)
    with pytest.raises(MissingExtraError, match=r"needs networkx: pip install 'momok\[exchange\]'"):
        to_networkx(load_graph("world"))
