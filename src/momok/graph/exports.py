"""Graphs for other libraries: PyKEEN, NetworkX, RDFLib and PyG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from momok.extras import import_extra
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph, SplitName
from momok.graph.iris import DEFAULT_BASE, check_base, make_iri
from momok.graph.names import make_readable


def to_pykeen(graph: MultimodalGraph, split: SplitName) -> Any:
    """Give a split as PyKEEN's ``TriplesFactory``, with the ids of the graph.

    All splits of a graph share their ids, so that they can be used together.

    Raises:
        MissingExtraError: PyKEEN is not installed.
    """
    import torch  # not at the top: a graph alone needs none

    triples = import_extra("pykeen.triples", "exchange", "a graph for PyKEEN")
    return triples.TriplesFactory(
        mapped_triples=torch.from_numpy(graph.facts(split).copy()),
        entity_to_id=dict(graph.entities.ids),
        relation_to_id=dict(graph.relations.ids),
    )


def to_networkx(graph: MultimodalGraph, *splits: SplitName) -> Any:
    """Give facts as a ``MultiDiGraph`` of NetworkX.

    Nodes are the labels of all entities, with ``name``, ``type`` and ``description`` where there
    are any; edges go from head to tail, with the relation's label as key, and ``name`` and
    ``split``.

    Args:
        graph: the graph.
        splits: which; all by default.

    Raises:
        MissingExtraError: NetworkX is not installed.
    """
    networkx = import_extra("networkx", "exchange", "a graph for NetworkX")
    made = networkx.MultiDiGraph(name=graph.name)
    columns = graph.entity_names, graph.entity_types, graph.descriptions
    for label, *texts in zip(graph.entities.labels, *columns, strict=True):
        about = dict(zip(("name", "type", "description"), texts, strict=True))
        made.add_node(label, **{key: text for key, text in about.items() if text})
    entities, relations = graph.entities.labels, graph.relations.labels
    for split in splits or SPLIT_NAMES:
        made.add_edges_from(
            (
                entities[head],
                entities[tail],
                relations[relation],
                {"name": graph.relation_names[relation], "split": split},
            )
            for head, relation, tail in graph.facts(split).tolist()
        )
    return made


def to_rdf(graph: MultimodalGraph, *splits: SplitName, base_iri: str = DEFAULT_BASE) -> Any:
    """Give facts as a ``Graph`` of RDFLib, which writes N-Triples, Turtle and other forms of RDF.

    Labels that are IRIs are taken as they are, others percent-encoded under ``base_iri``, as in the
    N-Triples of ``momok predict-missing``. Names are ``rdfs:label``, descriptions
    ``schema:description``, and types ``rdf:type``. RDF has no splits: ``splits`` says which facts.

    Args:
        graph: the graph.
        splits: which; all by default.
        base_iri: what labels that are no IRIs are put under.

    Raises:
        MissingExtraError: RDFLib is not installed.
        ConfigError: the base is no absolute IRI that ends with ``/``, ``#`` or ``:``.
    """
    rdflib = import_extra("rdflib", "exchange", "a graph as RDF")
    check_base(base_iri)
    named, described = rdflib.RDFS.label, rdflib.SDO.description
    made = rdflib.Graph()
    made.bind("schema", rdflib.SDO)

    def add_texts(thing: Any, name: str, description: str = "") -> None:
        for predicate, text in ((named, name), (described, description)):
            if text:
                made.add((thing, predicate, rdflib.Literal(text)))

    def find(labels: Sequence[str], kind: Literal["entity", "relation"]) -> list[Any]:
        return [rdflib.URIRef(make_iri(label, kind, base_iri)) for label in labels]

    entities = find(graph.entities.labels, "entity")
    relations = find(graph.relations.labels, "relation")
    columns = graph.entity_names, graph.entity_types, graph.descriptions
    for thing, name, kind, description in zip(entities, *columns, strict=True):
        add_texts(thing, name, description)
        if kind:
            type_ = rdflib.URIRef(make_iri(kind, "type", base_iri))
            made.add((thing, rdflib.RDF.type, type_))
            add_texts(type_, make_readable(kind))
    for thing, name in zip(relations, graph.relation_names, strict=True):
        add_texts(thing, name)
    for split in splits or SPLIT_NAMES:
        for head, relation, tail in graph.facts(split).tolist():
            made.add((entities[head], relations[relation], entities[tail]))
    return made


def to_pyg(graph: MultimodalGraph, split: SplitName = "train") -> Any:
    """Give a graph as PyG's ``HeteroData``, to predict the facts of a split.

    There is one node type, ``entity``, with a matrix ``[N, d]`` per modality under its name and
    the entities that have it as ``<modality>_mask`` ``[N]``; and an edge type ``("entity", label,
    "entity")`` per relation, in the order of the graph, so that ``to_homogeneous().edge_type`` are
    its ids. As PyG's ``RandomLinkSplit`` does, ``edge_index`` has the facts that messages pass
    over, those of train, and ``edge_label_index`` those to predict, of ``split``.

    Raises:
        MissingExtraError: PyG is not installed.
    """
    import torch  # not at the top: a graph alone needs none

    pyg = import_extra(
        "torch_geometric.data", "exchange", "a graph for PyG", package="torch-geometric"
    )
    made = pyg.HeteroData()
    nodes = made["entity"]
    nodes.num_nodes = graph.num_entities
    for modality, features in graph.features.items():
        nodes[modality] = torch.from_numpy(features.matrix.astype("float32"))
        nodes[f"{modality}_mask"] = torch.from_numpy(features.present.copy())
    for number, label in enumerate(graph.relations.labels):
        edges = made["entity", label, "entity"]
        for name, facts in (
            ("edge_index", graph.train),
            ("edge_label_index", graph.facts(split)),
        ):
            ends = facts[facts[:, 1] == number][:, [0, 2]]
            edges[name] = torch.from_numpy(ends.T.copy())
    return made
