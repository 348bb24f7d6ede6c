"""Graphs for other libraries: PyKEEN, NetworkX and PyG."""

from __future__ import annotations

from typing import Any

from momok.extras import import_extra
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph, SplitName


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
