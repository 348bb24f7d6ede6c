"""The shape of a graph: degrees, cardinalities, and which entities have which modality."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from momok.graph.doctor.report import Cardinality, Coverage, Degrees, Overview
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.triples import (
    CARDINALITIES,
    Triples,
    classify_cardinality,
    encode_triples,
    sort_unique,
)

_MOST_TYPES = 8


def compute_overview(graph: MultimodalGraph, coverage: tuple[Coverage, ...]) -> Overview:
    """Compute sizes and shape from the distinct facts of all splits."""
    sizes = graph.num_entities, graph.num_relations
    facts = np.concatenate([graph.facts(split) for split in SPLIT_NAMES])
    keys = encode_triples(facts, *sizes)
    distinct = facts[np.unique(keys, return_index=True)[1]]
    return Overview(
        entities=sizes[0],
        relations=sizes[1],
        facts={split: len(graph.facts(split)) for split in SPLIT_NAMES},
        degrees=_measure_degrees(graph, distinct),
        cardinalities=count_cardinalities(graph.train, *sizes),
        coverage=coverage,
    )


def _measure_degrees(graph: MultimodalGraph, facts: Triples) -> Degrees:
    degrees = np.bincount(facts[:, ::2].ravel(), minlength=graph.num_entities)
    # Bin 0 holds degree 0, bin b the degrees from 2**(b-1) to 2**b - 1; frexp is exact.
    bins = np.frexp(degrees.astype(np.float64))[1]
    histogram = tuple(
        (2 ** (int(b) - 1) if b else 0, 2 ** int(b) - 1, int(count))
        for b, count in enumerate(np.bincount(bins))
    )
    hub = int(degrees.argmax())
    return Degrees(
        median=float(np.median(degrees)),
        mean=float(degrees.mean()),
        largest=int(degrees[hub]),
        hub=graph.entities.labels[hub],
        histogram=histogram,
    )


def count_cardinalities(
    train: Triples, num_entities: int, num_relations: int
) -> tuple[Cardinality, ...]:
    """Count the relations and distinct train facts of each cardinality (Bordes et al. 2013)."""
    kinds = classify_cardinality(train, num_entities, num_relations)
    distinct = sort_unique(encode_triples(train, num_entities, num_relations))
    facts = np.bincount(distinct // num_entities % num_relations, minlength=num_relations)
    return tuple(
        Cardinality(
            kind=name, relations=int((kinds == i).sum()), facts=int(facts[kinds == i].sum())
        )
        for i, name in enumerate(CARDINALITIES[:-1])
    )


def code_types(graph: MultimodalGraph) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Give the distinct entity types and the position of each entity's type in them ``[N]``."""
    codes = {kind: i for i, kind in enumerate(dict.fromkeys(graph.entity_types))}
    of_each = np.fromiter((codes[t] for t in graph.entity_types), np.int64, graph.num_entities)
    return tuple(codes), of_each


def measure_coverage(graph: MultimodalGraph, modality: str, has: NDArray[np.bool_]) -> Coverage:
    """Measure which entities have a modality ``[N]``, in all and by type."""
    types, codes = code_types(graph)
    sizes = np.bincount(codes, minlength=len(types))
    covered = np.bincount(codes[has], minlength=len(types))
    best = [i for i in np.lexsort((-sizes, -covered)) if types[i]][:_MOST_TYPES]
    return Coverage(
        modality=modality,
        entities=int(has.sum()),
        share=float(has.mean()),
        by_type=tuple((types[i], int(covered[i]), int(sizes[i])) for i in best),
    )
