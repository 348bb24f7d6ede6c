"""Questions about an entity that came after training: a name, a text, pictures, and no facts.

Its texts and pictures are encoded as those of the graph were, prepared as training prepared them,
and put where rows of the model's tables would be. The heads of its modalities vote, and beside
them the entities that are similar to it. Structure has no vote, nor has the joint head where there
are others: it has learned to rely on structure (docs/prediction.md has what was measured).

Shapes: N entities, d numbers in a feature vector, f width of a table, k answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.arrays import FloatMatrix
from momok.encoders.encoder import Kind
from momok.encoders.reencode import Reencoder, find_kind
from momok.errors import ConfigError, RunError
from momok.evaluation.scoring import score_pairs
from momok.graph import Features, MultimodalGraph
from momok.graph.candidates import Name, Side
from momok.model import JOINT
from momok.model.new_entities import encode_new_queries
from momok.prediction.answering import sort_answers
from momok.prediction.neighbours import Neighbours, NeighbourVote
from momok.prediction.new_entity_rows import NewRows
from momok.prediction.questions import (
    Question,
    Thing,
    check_count,
    check_side,
    describe_entity,
    describe_relation,
)
from momok.prediction.results import Answers, Predictions
from momok.prediction.scorer import Scorer
from momok.prediction.shares import compute_head_shares
from momok.prediction.top_k import find_best

SIMILAR = "similar entities"
"""The name of their vote among those of the heads."""

_UNNAMED = "the new entity"
_LEAST = 1e-12  # probability of an entity that nothing speaks for


@dataclass(frozen=True, kw_only=True)
class NewEntity:
    """What is known of an entity that the graph does not have.

    Attributes:
        name: its name, which is also the text where the graph's texts are names.
        text: what else is said of it, as a description in the graph.
        pictures: files; of several the mean is taken.
        vectors: by modality, a feature vector ``[d]`` as the graph's; it stands for what would be
            encoded otherwise.
    """

    name: str = ""
    text: str = ""
    pictures: Sequence[str | Path] = ()
    vectors: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the types: ConfigError where one is another."""
        for what, text in (("name", self.name), ("text", self.text)):
            if not isinstance(text, str):
                raise ConfigError(f"{what} of a new entity: {text!r:.80}: expected a text")
        if isinstance(self.pictures, str | bytes | Path):
            raise ConfigError(f"pictures = {self.pictures!r}: expected a list of files")
        if not isinstance(self.vectors, Mapping):
            raise ConfigError("vectors of a new entity: expected a vector for each modality")


class NewPredictions(Predictions):
    """The answers to a question about a new entity, best first.

    No answer has a calibrated probability: what is calibrated is the mean over all heads.

    Attributes:
        remarks: what a reader should know of how it was encoded.
        similar: the entities of the graph whose answers count most, each with its similarity: a
            cosine, -1 to 1.
    """

    def __init__(
        self,
        graph: MultimodalGraph,
        question: Question,
        answers: Answers,
        *,
        remarks: tuple[str, ...],
        similar: NeighbourVote,
    ) -> None:
        query_present = {name: name in answers.gates for name in answers.present}
        super().__init__(graph, question, answers, 0, query_present)
        self.remarks = remarks
        self.similar = [
            (describe_entity(graph, i), float(cosine))
            for i, cosine in zip(similar.similar, similar.similarities, strict=True)
        ]

    @property
    def notes(self) -> list[str]:
        """How the answers are to be read as a table, a line each."""
        has = [name for name, present in self.query_present.items() if present]
        notes = [f"a new entity, known by its {', '.join(has)} alone: other heads have no vote"]
        if self.similar:
            similar = ", ".join(f"{thing.name} ({cosine:.2f})" for thing, cosine in self.similar)
            notes.append(f"most similar of those that have answers: {similar}")
        return [*super().notes, *notes, *self.remarks]

    def to_json(self) -> dict[str, Any]:
        """The plain form; ``new`` says that the entity asked about is none of the graph's."""
        plain = super().to_json()
        similar = [thing.to_json() | {"similarity": cosine} for thing, cosine in self.similar]
        plain["query"] |= {"new": True, "similar": similar, "remarks": list(self.remarks)}
        return plain


class NewEntities:
    """Answers questions about new entities; keeps the encoders and maps that they share."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._encoder = cache(lambda modality: Reencoder(self._features[modality].manifest))

    def answer(
        self,
        entity: NewEntity,
        relation: Name,
        role: Side = "head",
        k: int = 10,
        *,
        plausible: bool = False,
    ) -> NewPredictions:
        """See ``Predictor.predict_new``."""
        check_side("role", role)
        check_count("k", k, 1)
        if not isinstance(entity, NewEntity):
            raise ConfigError(f"{entity!r:.80}: expected a NewEntity, as NewEntity(name=…)")
        graph = self._scorer.graph
        asked = graph.find_relation(relation)
        vectors, remarks = self.encode(entity)
        rows = {name: self._rows.make(name, vector[None]) for name, vector in vectors.items()}
        reverse = graph.num_relations if role == "tail" else 0
        similar = self.neighbours.vote(vectors, asked + reverse)
        answers = self._search(rows, similar, asked + reverse, k, plausible)
        question = Question(
            entity=Thing("", entity.name.strip() or _UNNAMED),
            relation=describe_relation(graph, asked),
            asked="tail" if role == "head" else "head",
        )
        return NewPredictions(graph, question, answers, remarks=remarks, similar=similar)

    # -- from what is given to vectors -----------------------------------------------------

    def encode(self, entity: NewEntity) -> tuple[dict[str, FloatMatrix], tuple[str, ...]]:
        """Feature vectors ``[d]`` by modality, in the model's order; and remarks."""
        kinds = self.kinds
        self._check(entity, kinds)
        vectors: dict[str, FloatMatrix] = {}
        remarks: list[str] = []
        for name, kind in kinds.items():
            if name in entity.vectors:
                vectors[name] = np.asarray(entity.vectors[name], dtype=np.float32)
                continue
            if kind == "text" and (entity.name.strip() or entity.text.strip()):
                vectors[name] = self._encoder(name).encode_text(entity.name, entity.text)
                if entity.text.strip() and self._encoder(name).leaves_out_text(entity.name):
                    remarks.append(f"{name}: made of names alone in this graph; the text is unused")
            elif kind == "image" and entity.pictures:
                pictures = [Path(path) for path in entity.pictures]
                vectors[name] = self._encoder(name).encode_pictures(pictures)
            if name in vectors and self._encoder(name).remark:
                remarks.append(self._encoder(name).remark)
        if not vectors:
            raise ConfigError(
                f"nothing is known of the new entity that the model of {self._scorer.run.path} "
                f"has learned from: {self._list_inputs(kinds)}"
            )
        return vectors, tuple(remarks)

    def _check(self, entity: NewEntity, kinds: Mapping[str, Kind | None]) -> None:
        """Refuse what the run has no modality for, before anything is encoded."""
        where = self._scorer.run.path
        for name in entity.vectors.keys() - kinds:
            raise ConfigError(
                f"{where}: the model has no modality {name!r} with features; "
                f"{self._list_inputs(kinds)}"
            )
        for given, kind, what in (
            (entity.text.strip(), "text", "a text"),
            (entity.pictures, "image", "a picture"),
        ):
            if given and kind not in kinds.values():
                raise ConfigError(
                    f"{where}: {what} was given, and the model has no modality that is encoded "
                    f"from such; {self._list_inputs(kinds)}"
                )

    def _list_inputs(self, kinds: Mapping[str, Kind | None]) -> str:
        takes = {"text": "name= or text=", "image": "image="}
        ways = [
            f"{takes[kind]} for {name}" if kind in takes else f"{name}=@vector.npy"
            for name, kind in kinds.items()
        ]
        return f"give {', '.join(ways)}" if ways else "it knows structure alone; add features"

    @cached_property
    def kinds(self) -> dict[str, Kind | None]:
        """What each modality of the model is made of; None where only a vector can be given.

        Raises:
            RunError: the graph is not where it was.
        """
        return {name: find_kind(part.manifest) for name, part in self._features.items()}

    @cached_property
    def _features(self) -> dict[str, Features]:
        """The features of the model's modalities, in its order."""
        scorer = self._scorer
        state = scorer.source.state
        if state.status != "found":
            raise RunError(
                f"{scorer.run.path}: {state.remark}; a new entity is encoded as the graph's "
                "were, so its features are needed; say where the graph is now with --graph"
            )
        features = scorer.source.features
        return {name: features[name] for name in scorer.modalities if name in features}

    @cached_property
    def _rows(self) -> NewRows:
        run, train = self._scorer.run, self._scorer.graph.train
        return NewRows(self._features, train, run.config, self._scorer.model)

    @cached_property
    def neighbours(self) -> Neighbours:
        """What entities with similar feature vectors answer."""
        graph = self._scorer.graph
        return Neighbours(self._features, graph.train, graph.num_relations)

    # -- from rows to answers --------------------------------------------------------------

    @torch.no_grad()
    def _search(
        self,
        rows: Mapping[str, FloatMatrix],
        similar: NeighbourVote,
        relation: int,
        k: int,
        plausible: bool,
    ) -> Answers:
        """The best k answers to a query of one new entity, relation up to 2R - 1."""
        scorer, device = self._scorer, self._scorer.model.device
        queries = encode_new_queries(
            scorer.model,
            {name: torch.from_numpy(row).to(device) for name, row in rows.items()},
            torch.tensor([relation], device=device),
        )
        heads = [head for head in rows if head in scorer.heads] or [JOINT]
        vectors = {head: queries.vectors[head].float() for head in heads}
        candidates = {head: scorer.candidates.vectors[head] for head in heads}
        # A vote is scores; as a product, they are vectors of one number.
        voted = torch.from_numpy(similar.probabilities).to(device).clamp(_LEAST, 1 - _LEAST)
        candidates[SIMILAR] = scorer.pooling.find_scores(voted).float().unsqueeze(1)
        vectors[SIMILAR] = torch.ones(1, 1, device=device)
        nobody = np.empty(0, dtype=np.int64)
        found = find_best(
            vectors,
            candidates,
            k,
            hidden=(nobody, nobody),
            memory_budget=scorer.memory_budget,
            pooling=scorer.pooling,
            among=scorer.graph.train_index.entities_of(relation) if plausible else None,
        )
        rows_of, budget = torch.zeros_like(found[0]), scorer.memory_budget
        scores = score_pairs(vectors, candidates, rows_of, found[0], memory_budget=budget)
        return sort_answers(
            found,
            scores,
            self._compute_shares(scores, list(rows)),
            pooled=scorer.pooling.pool(scores),
            pooling=scorer.pooling,
            gates={name: queries.gates.get(name, torch.ones(1, 1)) for name in rows},
            present=scorer.present,
        )

    def _compute_shares(self, scores: Mapping[str, Tensor], known_by: Sequence[str]) -> Tensor:
        """The part of every modality: [k, M]. Those that the entity is known by share out what
        similar entities say, and the joint head where it is alone."""
        parts = compute_head_shares(scores, self._scorer.pooling)
        nothing = torch.zeros_like(parts[SIMILAR])
        common = sum((parts[h] for h in (SIMILAR, JOINT) if h in parts), nothing) / len(known_by)
        shares = [
            parts.get(modality, nothing) + common if modality in known_by else nothing
            for modality in self._scorer.parts
        ]
        return torch.stack(shares, dim=1)
