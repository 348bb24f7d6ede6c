"""A trained model with its graph, ready to score: what every question and search is built on.

Shapes: B queries, N entities, R relations, P pairs, n rows, M modalities, K experts, d width of a
head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Ints
from momok.errors import CheckpointError, RunError
from momok.evaluation.scoring import (
    ANSWER,
    DEFAULT_MEMORY_BUDGET,
    QUERY_BATCH,
    choose_pooling,
    score_pairs,
)
from momok.model import Candidates, Queries
from momok.model.fusions import ModalityFusion
from momok.prediction.calibration.record import FACT, PLAUSIBLE_FACT, Calibration, load_calibration
from momok.prediction.explanation import average_branches, compute_modality_shares
from momok.prediction.original_graph import GraphSource, find_source
from momok.runtime import find_device
from momok.training import RunFolder
from momok.training.checkpoint import load_model


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """What the model makes of n queries or candidates.

    Attributes:
        vectors: per head [n, d], float32.
        gates: per modality [n, K], weights of its experts; a model without any has one.
        attention: [n, M] the joint head's, over modalities; even where it has none.
    """

    vectors: Mapping[str, Tensor]
    gates: Mapping[str, Tensor]
    attention: Tensor


class Scorer:
    """A trained model and its graph. All candidates are encoded once, in float32.

    Args:
        run: a run folder or its path; the checkpoint chosen on validation is used.
        device: ``auto`` takes a GPU when there is one.
        memory_budget: bytes of score buffers; scores do not depend on it.
        source: where the graph of the run lies now, if not where it was: a folder or a name.
            Only explanations and new entities need it, for features and pictures.
        calibrated: use the run's calibration where it has one.

    Attributes:
        run: the run folder.
        graph: the facts and names that the run was trained on.
        model: the model, in evaluation mode.
        selected: which epoch its checkpoint is of, and by what it was chosen.
        heads, modalities: names of its decision heads and of its modalities.
        pooling: how its heads become the answer.
        has_attention: whether there is a joint head with attention over modalities.
        candidates: all entities, encoded.
        present: per modality [N], which entities have features of it.
        calibration: what ``momok calibrate`` found for this checkpoint; None where it has not.

    Raises:
        RunError: there is no such run, its model and its graph do not fit, or its calibration is
            damaged.
        CheckpointError: the checkpoint is missing, corrupt, or holds values that are not finite.
        DataError: the graph in the run folder cannot be read.
        ConfigError: a GPU was asked for and there is none.
    """

    def __init__(
        self,
        run: RunFolder | str | Path,
        *,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        memory_budget: int = DEFAULT_MEMORY_BUDGET,
        source: str | Path | None = None,
        calibrated: bool = True,
    ) -> None:
        self._moved_to = source
        self.run = run if isinstance(run, RunFolder) else RunFolder(run)
        self.graph = self.run.load_graph()
        self.model, state = load_model(self.run.best_checkpoint, find_device(device))
        self.selected: Mapping[str, Any] = state.get("selected", {})
        self.heads, self.modalities = self.model.heads, self.model.modalities
        self.pooling = choose_pooling(self.model.softmax)
        self.has_attention = isinstance(self.model.entity_fusion, ModalityFusion)
        self.memory_budget = memory_budget
        self._check_sizes()
        with torch.no_grad():
            self.candidates = self._collect(self.model.candidates())
        self.present = {m: p.cpu().numpy().astype(bool) for m, p in self.model.present.items()}
        self.calibration = self._load_calibration() if calibrated else None

    @torch.no_grad()
    def encode_queries(self, entities: Ints, relations: Ints) -> Encoded:
        """Encode queries by ids [B]; relations in 0..2R-1.

        Raises:
            CheckpointError: the model gives values that are not finite.
        """
        device = self.model.device
        return self._collect(
            self.model.queries(
                torch.from_numpy(entities).to(device), torch.from_numpy(relations).to(device)
            )
        )

    def encode_relation(self, entities: Ints, relation: int) -> dict[str, Tensor]:
        """Query vectors per head [B, d] of many entities under one relation, in batches."""
        pieces = [
            self.encode_queries(batch, np.full(len(batch), relation)).vectors
            for batch in np.split(entities, range(QUERY_BATCH, len(entities), QUERY_BATCH))
        ]
        return {head: torch.cat([piece[head] for piece in pieces]) for head in self.heads}

    def score_pairs(
        self, queries: Mapping[str, Tensor], rows: Tensor | Ints, ids: Tensor | Ints
    ) -> dict[str, Tensor]:
        """Logits per head [P], float64, of candidates for queries.

        Args:
            queries: vectors per head [B, d].
            rows: [P] which query.
            ids: [P] which candidate.
        """
        device = self.model.device
        return score_pairs(
            queries,
            self.candidates.vectors,
            torch.as_tensor(rows, device=device),
            torch.as_tensor(ids, device=device),
            memory_budget=self.memory_budget,
        )

    def compute_shares(
        self,
        scores: Mapping[str, Tensor],
        queries: Encoded,
        rows: Tensor | Ints,
        ids: Tensor | Ints,
    ) -> Tensor:
        """The part of every modality in the answers of pairs: [P, M], rows that sum to one.

        Args:
            scores: per head [P], of ``score_pairs``.
            queries: what the pairs are of.
            rows: [P] which query.
            ids: [P] which candidate.
        """
        attention = (queries.attention[rows] + self.candidates.attention[ids]) / 2
        return compute_modality_shares(scores, self.modalities, attention, self.pooling)

    @cached_property
    def source(self) -> GraphSource:
        """Features and pictures of the graph that the run was trained on, as far as they are."""
        return find_source(self.run, self.graph, self._moved_to)

    def _collect(self, encoded: Queries | Candidates) -> Encoded:
        vectors = {head: encoded.vectors[head].float() for head in self.heads}
        for head, values in vectors.items():
            if not bool(torch.isfinite(values).all()):
                raise CheckpointError(
                    f"{self.run.best_checkpoint}: head {head!r} gives values that are not finite: "
                    "the checkpoint is damaged or training diverged; restore it or train again"
                )
        return Encoded(
            vectors=vectors,
            gates=self._find_gates(encoded),
            attention=self._average_branches(encoded),
        )

    def _find_gates(self, encoded: Queries | Candidates) -> dict[str, Tensor]:
        if encoded.gates:
            return {name: gate.float() for name, gate in encoded.gates.items()}
        vectors = encoded.vectors[self.heads[0]]
        return {name: vectors.new_ones(len(vectors), 1).float() for name in self.modalities}

    def _average_branches(self, encoded: Queries | Candidates) -> Tensor:
        if encoded.fusion_weights is not None:
            return average_branches(encoded.fusion_weights)
        vectors, count = encoded.vectors[self.heads[0]], len(self.modalities)
        return vectors.new_full((len(vectors), count), 1 / count, dtype=torch.float64)

    def _check_sizes(self) -> None:
        has = self.graph.num_entities, self.graph.num_relations
        needs = self.model.num_entities, self.model.num_relations
        if has != needs:
            raise RunError(
                f"{self.run.path}: its graph has {has[0]} entities and {has[1]} relations, its "
                f"model was trained for {needs[0]} and {needs[1]}; the folder is mixed up or was "
                "changed"
            )

    def _load_calibration(self) -> Calibration | None:
        """That of the checkpoint in use: one made before training went on is not for it."""
        found = load_calibration(self.run, [*self.heads, ANSWER, FACT, PLAUSIBLE_FACT])
        return found if found is not None and found.selected == self.selected else None
