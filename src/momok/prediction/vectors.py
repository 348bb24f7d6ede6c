"""What a model has learned of entities and relations as vectors, for other programs.

Shapes: n entities or relations, d width.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors.numpy import save as save_arrays

from momok.arrays import FloatMatrix
from momok.errors import ConfigError
from momok.prediction.questions import Triple, list_triples, resolve_question
from momok.prediction.scorer import Scorer
from momok.storage import write_file

_BLOCK = 1 << 14  # entities encoded at a time

JOINED = "joined"
"""All heads side by side, each brought to length one."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Vectors:
    """Vectors with what they belong to, in the order of the graph.

    Attributes:
        labels: n labels.
        names: n display names.
        matrix: [n, d] float32.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    matrix: FloatMatrix

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:3]) + (", ..." if len(self.names) > 3 else "")
        return f"<Vectors of {len(self.labels):,}, {self.matrix.shape[1]:,} numbers each: {shown}>"

    def to_frame(self) -> pl.DataFrame:
        """Give them as a frame of polars: columns ``label``, ``name`` and ``vector``."""
        width = self.matrix.shape[1]
        return pl.DataFrame(
            {"label": self.labels, "name": self.names, "vector": self.matrix},
            schema={"label": pl.String, "name": pl.String, "vector": pl.Array(pl.Float32, width)},
        )

    def save(self, path: str | Path) -> None:
        """Write them into a file, whole or not at all, in the form of its ending.

        ``.parquet``: the columns of ``to_frame``. ``.npz``: arrays ``labels``, ``names`` and
        ``vectors``. ``.safetensors``: ``vectors``, with the labels as JSON in the metadata.
        ``.txt``: word2vec's text; blanks in labels become ``_``.

        Raises:
            ConfigError: another ending, or two labels are one with ``_`` for blanks.
            StorageError: the disk refused.
        """
        forms: dict[str, Callable[[], bytes]] = {
            ".parquet": self._to_parquet,
            ".npz": self._to_npz,
            ".safetensors": self._to_safetensors,
            ".txt": self._to_word2vec,
        }
        place = Path(path)
        if place.suffix.lower() not in forms:
            raise ConfigError(f"{path}: vectors are written as {', '.join(forms)}, by the ending")
        write_file(place, forms[place.suffix.lower()]())

    def _to_parquet(self) -> bytes:
        content = io.BytesIO()
        self.to_frame().write_parquet(content)
        return content.getvalue()

    def _to_npz(self) -> bytes:
        content = io.BytesIO()
        np.savez(
            content,
            labels=np.array(self.labels),
            names=np.array(self.names),
            vectors=self.matrix,
        )
        return content.getvalue()

    def _to_safetensors(self) -> bytes:
        labels = json.dumps(self.labels, ensure_ascii=False)
        return save_arrays({"vectors": self.matrix}, metadata={"labels": labels})

    def _to_word2vec(self) -> bytes:
        words = ["_".join(label.split()) for label in self.labels]
        if len(set(words)) < len(words):
            raise ConfigError("two labels are one with _ for blanks: choose another form than .txt")
        lines = [f"{len(words)} {self.matrix.shape[1]}"]
        for word, row in zip(words, self.matrix.tolist(), strict=True):
            lines.append(f"{word} {' '.join(f'{x:.7g}' for x in row)}")
        return ("\n".join(lines) + "\n").encode()


@torch.no_grad()
def find_vectors(scorer: Scorer, head: str = JOINED, *, relations: bool = False) -> Vectors:
    """Give the vectors of all entities, or of all relations and their reciprocals.

    Args:
        scorer: of the run.
        head: a decision head, or ``joined``: those of all heads side by side, each of length one,
            so that a product of two is the sum of their cosines.
        relations: those of relations instead, [2R, d]; the second half is of the reverses, whose
            labels end in ``^-1``.

    Raises:
        ConfigError: there is no such head.
    """
    model, graph = scorer.model, scorer.graph
    if head not in (JOINED, *scorer.heads):
        raise ConfigError(
            f"there is no head {head!r}; there are {JOINED}, {', '.join(scorer.heads)}"
        )
    if relations:
        count = graph.num_relations
        asked = torch.arange(2 * count, device=model.device)
        found = model.queries(torch.zeros_like(asked), asked, normalised=False).relations
        labels = (*graph.relations.labels, *(f"{x}^-1" for x in graph.relations.labels))
        names = (*graph.relation_names, *(f"{x} (reversed)" for x in graph.relation_names))
    else:
        found = _encode_entities(scorer)
        labels, names = graph.entities.labels, graph.entity_names
    by_head = {name: vectors.float().cpu().numpy() for name, vectors in found.items()}
    if head == JOINED:
        parts = [
            v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12)
            for v in by_head.values()
        ]
        return Vectors(labels=labels, names=names, matrix=np.concatenate(parts, axis=1))
    return Vectors(labels=labels, names=names, matrix=by_head[head])


def find_candidate_vectors(scorer: Scorer) -> Vectors:
    """Give a vector of every entity as an answer: what ``find_query_vectors`` are multiplied with.

    Raises:
        ConfigError: the answers of this run are no products of vectors.
    """
    _check_products(scorer)
    parts = [scorer.candidates.vectors[head] for head in scorer.heads]
    matrix = torch.cat([*parts, parts[0].new_ones(len(parts[0]), 1)], dim=1)
    graph = scorer.graph
    return Vectors(
        labels=graph.entities.labels, names=graph.entity_names, matrix=matrix.float().cpu().numpy()
    )


def find_query_vectors(scorer: Scorer, queries: Sequence[Triple]) -> FloatMatrix:
    """Give a vector of every question, [B, d]: its product with that of an answer ranks as the pool
    of heads does.

    Where scores are probabilities among all entities, as in the preset ``default``, the product is
    the logarithm of ``Prediction.score``, of answers that no rule speaks for: the evidence of rules
    is none of vectors. A search does not know which answers are known, or which are the entity
    asked about.

    Args:
        scorer: of the run.
        queries: as for ``Predictor.predict_many``.

    Raises:
        ConfigError: the answers of this run are no products of vectors.
        MomokError: a question is wrong.
    """
    _check_products(scorer)
    listed = list_triples(queries, "questions")
    resolved = [resolve_question(scorer.graph, tuple(query)) for query in listed]
    if not resolved:
        raise ConfigError("no questions are given")
    entities, relations = np.array(resolved, dtype=np.int64).reshape(-1, 2).T
    encoded = scorer.encode_queries(entities, relations)
    terms, count = encoded.terms, len(scorer.heads)
    weights = torch.full((len(resolved), count), 1 / count) if terms is None else terms.weights
    parts = [
        encoded.vectors[head] * weights[:, number, None].to(scorer.model.device)
        for number, head in enumerate(scorer.heads)
    ]
    constants = parts[0].new_zeros(len(resolved)) if terms is None else terms.constants
    return torch.cat([*parts, constants[:, None]], dim=1).float().cpu().numpy()


def _check_products(scorer: Scorer) -> None:
    if len(scorer.heads) > 1 and not scorer.model.softmax:
        raise ConfigError(
            f"{scorer.run.path}: its answer is the mean of the heads' probabilities, which no "
            "product of two vectors ranks like; a run of the preset default has one that does"
        )


def _encode_entities(scorer: Scorer) -> dict[str, torch.Tensor]:
    """Vectors of all entities per head, before what else belongs to a score."""
    everything = torch.arange(scorer.graph.num_entities, device=scorer.model.device)
    parts = [scorer.model.candidates(ids).entities for ids in torch.split(everything, _BLOCK)]
    return {head: torch.cat([part[head] for part in parts]) for head in scorer.heads}
