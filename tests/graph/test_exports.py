"""Graphs for PyKEEN, NetworkX, RDFLib and PyG: the same facts, and back again."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from momok.errors import ConfigError, MissingExtraError
from momok.graph import (
    SPLIT_NAMES,
    Vocabulary,
    load_graph,
    to_networkx,
    to_pyg,
    to_pykeen,
    to_rdf,
)
from momok.graph.iris import make_iri
from momok.graph.sources.rdf import read_rdf

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


@pytest.mark.parametrize(("form", "ending"), [("nt", "nt"), ("turtle", "ttl"), ("xml", "rdf")])
def test_rdf_is_read_back_as_the_same_facts(tmp_path: Path, form: str, ending: str) -> None:
    pytest.importorskip("rdflib")
    pytest.importorskip("pyoxigraph")
    graph = load_graph("world")
    odd = {5: "http://example.org/Zürich#1", 6: 'a "b" <c>\\ d', 7: "urn:x:y"}
    labels = tuple(odd.get(i, label) for i, label in enumerate(graph.entities.labels))
    texts = tuple(
        'of\n"two" lines' if i == 5 else text for i, text in enumerate(graph.descriptions)
    )
    graph = replace(graph, entities=Vocabulary(labels), descriptions=texts)
    path = tmp_path / f"graph.{ending}"
    to_rdf(graph, "train", "valid").serialize(path, form, encoding="utf-8")
    read = read_rdf(path)
    iris = [make_iri(label, "entity") for label in labels]
    predicates = [make_iri(label, "relation") for label in graph.relations.labels]
    facts = {
        (iris[h], predicates[r], iris[t])
        for split in ("train", "valid")
        for h, r, t in graph.facts(split).tolist()
    }
    assert {
        (read.entities[h], read.relations[r], read.entities[t])
        for h, r, t in np.concatenate(list(read.triples.values())).tolist()
    } == facts
    for i in {h for h, _, _ in facts} | {t for _, _, t in facts}:
        place = iris.index(i)
        assert read.names[i] == graph.entity_names[place]
        assert read.types[i] == graph.entity_types[place]
        assert read.descriptions.get(i, "") == " ".join(graph.descriptions[place].split())
    assert read.relation_names == dict(zip(predicates, graph.relation_names, strict=True))
    assert not read.findings


def test_a_base_that_nothing_can_follow_is_refused() -> None:
    pytest.importorskip("rdflib")
    graph = load_graph("world")
    with pytest.raises(ConfigError, match="expected an absolute one that ends with /, # or :"):
        to_rdf(graph, base_iri="https://example.org")
    made = to_rdf(graph, "test", base_iri="https://example.org/")
    assert sum("/relation/" in predicate for _, predicate, _ in made) == len(graph.test)


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
