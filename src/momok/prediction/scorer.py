"""A trained model with its graph, ready to score: what every question and search is built on.

Shapes: B queries, N entities, R relations, P pairs, n rows, M modalities, K experts, d width of a
head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Floats, Ints
from momok.errors import CheckpointError, RunError
from momok.evaluation.pool import RULES
from momok.evaluation.pooling import (
    Terms,
    choose_pooling,
    compute_pooled_shares,
    compute_rest,
    join_terms,
)
from momok.evaluation.scoring import (
    ANSWER,
    DEFAULT_MEMORY_BUDGET,
    QUERY_BATCH,
    BlockScorer,
    full_precision,
    score_pairs,
)
from momok.graph.fact_index import FactIndex, lookup_excluded
from momok.model import Candidates, Queries
from momok.model.fusions import ModalityFusion
from momok.prediction.calibration_record import FACT, PLAUSIBLE_FACT, Calibration, load_calibration
from momok.prediction.original_graph import GraphSource, find_source
from momok.prediction.shares import average_branches, compute_modality_shares
from momok.progress import Progress, no_progress
from momok.runtime import find_device
from momok.training import RunFolder
from momok.training.checkpoint import load_model
from momok.training.pooling import load_pool


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """What the model makes of n queries or candidates.

    Attributes:
        vectors: per head [n, d], float32.
        gates: per modality [n, K], weights of its experts; a model without any has one.
        attention: [n, M] the joint head's, over modalities; even where it has none.
        terms: of queries, where the run has a pool.
    """

    vectors: Mapping[str, Tensor]
    gates: Mapping[str, Tensor]
    attention: Tensor
    terms: Terms | None = None


class Scorer:
    """A trained model and its graph. All candidates are encoded once, in float32.

    Arguments, errors and common attributes are those of ``momok.prediction.Predictor``.

    Attributes:
        parts: what has a share of an answer: the modalities, and ``rules`` where the pool has any.
        selected: which epoch its checkpoint is of, and by what it was chosen.
        pooling: how its heads become the answer.
        pool: their weights, and rules; None where they weigh the same and there are none.
        has_attention: whether there is a joint head with attention over modalities.
        candidates: all entities, encoded.
        present: per part [N], which entities have features of it; rules are there for all.
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
        self.model, state = load_model(
            self.run.best_checkpoint, find_device(device), run=self.run.identity
        )
        self.selected: Mapping[str, Any] = state.get("selected", {})
        self.heads, self.modalities = self.model.heads, self.model.modalities
        self.pooling = choose_pooling(self.model.softmax)
        self.pool = load_pool(self.run, self.model, self.graph, self.selected)
        has_rules = self.pool is not None and self.pool.rules is not None
        self.parts = (*self.modalities, RULES) if has_rules else self.modalities
        self.has_attention = isinstance(self.model.entity_fusion, ModalityFusion)
        self.memory_budget = memory_budget
        has = self.graph.num_entities, self.graph.num_relations
        needs = self.model.num_entities, self.model.num_relations
        if has != needs:
            raise RunError(
                f"{self.run.path}: its graph has {has[0]} entities and {has[1]} relations, its "
                f"model was trained for {needs[0]} and {needs[1]}; the folder is mixed up or was "
                "changed"
            )
        with torch.no_grad():
            self.candidates = self._collect(self.model.candidates())
        self.present = {m: p.cpu().numpy().astype(bool) for m, p in self.model.present.items()}
        if RULES in self.parts:
            self.present[RULES] = np.ones(self.graph.num_entities, dtype=bool)
        self.calibration = self._load_calibration() if calibrated else None

    def __repr__(self) -> str:
        return f"<Scorer of {str(self.run.path)!r}: graph {self.graph.name}>"

    @torch.no_grad()
    def encode_queries(
        self, entities: Ints, relations: Ints, *, answer_alone: bool = False
    ) -> Encoded:
        """Encode queries by ids [B]; relations in 0..2R-1.

        Where the ``answer_alone`` is wanted, the scores of a pool's heads are not normalised.

        Raises:
            CheckpointError: the model gives values that are not finite.
        """
        normalised = self.pool is None or not answer_alone
        encoded = self._encode_heads(entities, relations, normalised=normalised)
        if self.pool is None:
            return encoded
        terms = self._normalise(encoded.vectors, self.pool.find_terms(entities, relations))
        return replace(encoded, terms=terms)

    def _encode_heads(self, entities: Ints, relations: Ints, *, normalised: bool) -> Encoded:
        """What the heads alone say, as probabilities where ``normalised``."""
        device = self.model.device
        asked = (torch.from_numpy(ids).to(device) for ids in (entities, relations))
        return self._collect(self.model.queries(*asked, normalised=normalised))

    def encode_relation(
        self, entities: Ints, relation: int
    ) -> tuple[dict[str, Tensor], Terms | None]:
        """Query vectors per head [B, d] of many entities under one relation, made in batches, and
        their terms: for answers, not for what single heads say."""
        pieces = [
            self.encode_queries(batch, np.full(len(batch), relation), answer_alone=True)
            for batch in np.split(entities, range(QUERY_BATCH, len(entities), QUERY_BATCH))
        ]
        terms = [piece.terms for piece in pieces if piece.terms is not None]
        vectors = {
            head: torch.cat([piece.vectors[head] for piece in pieces]) for head in self.heads
        }
        return vectors, join_terms(terms) if terms else None

    def _normalise(self, queries: Mapping[str, Tensor], terms: Terms) -> Terms:
        """With the constants that make the answers to all candidates sum to one."""
        scorer, count = BlockScorer(self.pooling), self.graph.num_entities
        total = torch.full(
            (len(terms),), -torch.inf, dtype=torch.float64, device=terms.weights.device
        )
        size = max(self.memory_budget // (16 * max(len(terms), 1)), 1)
        with full_precision():
            for start in range(0, count, size):
                block = {h: c[start : start + size] for h, c in self.candidates.vectors.items()}
                scores = scorer.score(queries, block, terms=terms, first=start)
                total = torch.logaddexp(total, scores.double().logsumexp(dim=1))
        return replace(terms, constants=-total)

    def score_pairs(
        self, queries: Mapping[str, Tensor], rows: Tensor | Ints, ids: Tensor | Ints
    ) -> dict[str, Tensor]:
        """Logits per head [P], float64, of candidates ``ids`` [P] for the queries ``rows`` [P]."""
        device = self.model.device
        return score_pairs(
            queries,
            self.candidates.vectors,
            torch.as_tensor(rows, device=device),
            torch.as_tensor(ids, device=device),
            memory_budget=self.memory_budget,
        )

    @torch.no_grad()
    def score_answers(
        self,
        entities: Ints,
        relations: Ints,
        answers: Ints,
        *,
        of_heads: bool = False,
        progress: Progress = no_progress,
    ) -> Floats:
        """The model's answers to questions for given candidates [P], float64.

        Args:
            entities, relations: of the questions [P], relations up to 2R - 1. A question that is
                asked for several candidates is encoded once.
            answers: ids [P].
            of_heads: the mean of what the heads say instead, without weights and rules.
            progress: is told of the questions.
        """
        count, device = self.graph.num_entities, self.model.device
        questions, of = np.unique(relations * count + entities, return_inverse=True)
        order = np.argsort(of, kind="stable")
        said = np.empty(len(answers))
        for first in range(0, len(questions), QUERY_BATCH):
            last = min(first + QUERY_BATCH, len(questions))
            asked = np.divmod(questions[first:last], count)[::-1]
            mine = order[slice(*np.searchsorted(of[order], [first, last]))]
            rows = torch.from_numpy(of[mine] - first).to(device)
            ids = torch.from_numpy(answers[mine]).to(device)
            if of_heads:
                queries = self._encode_heads(*asked, normalised=True)
                scores = self.score_pairs(queries.vectors, rows, ids).values()
                said_of = [self.pooling.compute_log_probabilities(s).exp() for s in scores]
                found = torch.stack(said_of).mean(dim=0)
            else:
                queries = self.encode_queries(*asked, answer_alone=True)
                scores_by_head = self.score_pairs(queries.vectors, rows, ids)
                found = self.pooling.pool(scores_by_head, queries.terms, rows, ids)
            said[mine] = found.cpu().numpy()
            progress("scoring facts", last, len(questions))
        return said

    def score_both(
        self,
        heads: Ints,
        relations: Ints,
        tails: Ints,
        *,
        of_heads: bool = False,
        progress: Progress = no_progress,
    ) -> tuple[Floats, Floats]:
        """The two answers to facts [F]: to (h, r, ?) for the tail, to (?, r, t) for the head."""
        both = self.score_answers(
            np.concatenate([heads, tails]),
            np.concatenate([relations, relations + self.graph.num_relations]),
            np.concatenate([tails, heads]),
            of_heads=of_heads,
            progress=progress,
        )
        return both[: len(heads)], both[len(heads) :]

    def find_rest(self, queries: Encoded, entities: Ints, relations: Ints) -> dict[str, Floats]:
        """Per head and for the answer, what is left of the probability of queries [B] beside facts
        of train and validation, and beside the entity asked about where it is no answer; empty
        where answers do not share one."""
        if not self.model.softmax:
            return {}
        excluded = lookup_excluded(self._known, self.graph.train_index, entities, relations)
        rows, ids = map(torch.from_numpy, excluded)
        rows, ids = rows.to(self.model.device), ids.to(self.model.device)
        scores = self.score_pairs(queries.vectors, rows, ids)
        said = {
            head: self.pooling.compute_log_probabilities(values).exp()
            for head, values in scores.items()
        }
        said[ANSWER] = self.pooling.pool(scores, queries.terms, rows, ids)
        return {
            name: compute_rest(rows, probabilities, len(entities)).cpu().numpy()
            for name, probabilities in said.items()
        }

    def compute_shares(
        self,
        scores: Mapping[str, Tensor],
        queries: Encoded,
        rows: Tensor | Ints,
        ids: Tensor | Ints,
    ) -> Tensor:
        """The share of every part in answers of ``score_pairs``: [P, parts]; rows sum to one."""
        attention = (queries.attention[rows] + self.candidates.attention[ids]) / 2
        if queries.terms is None:
            return compute_modality_shares(scores, self.modalities, attention, self.pooling)
        parts = self.compute_pooled_shares(scores, queries.terms, rows, ids)
        return torch.stack([parts[part] for part in self.parts], dim=1)

    def compute_pooled_shares(
        self,
        scores: Mapping[str, Tensor],
        terms: Terms,
        rows: Tensor | Ints,
        ids: Tensor | Ints,
    ) -> dict[str, Tensor]:
        """The share of every head, and of rules, in pooled answers: [P] each, summing to one."""
        device = self.model.device
        at, of = torch.as_tensor(rows, device=device), torch.as_tensor(ids, device=device)
        shares = compute_pooled_shares(scores, terms, at, of, self.graph.num_entities)
        return dict(zip((*scores, RULES), shares.T, strict=True))

    @cached_property
    def _known(self) -> FactIndex:
        """The facts of train and validation: those of test stand for what nobody knows."""
        graph = self.graph
        return FactIndex([graph.train, graph.valid], graph.num_entities, graph.num_relations)

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
        sample, count = vectors[self.heads[0]], len(self.model.modalities)
        one = sample.new_ones(len(sample), 1)
        gates = {name: gate.float() for name, gate in encoded.gates.items()}
        even = sample.new_full((len(sample), count), 1 / count, dtype=torch.float64)
        weights = encoded.fusion_weights
        return Encoded(
            vectors=vectors,
            gates=gates or dict.fromkeys(self.model.modalities, one),
            attention=even if weights is None else average_branches(weights),
        )

    def _load_calibration(self) -> Calibration | None:
        """That of the checkpoint in use: one made before training went on is not for it."""
        found = load_calibration(self.run, [*self.heads, ANSWER, FACT, PLAUSIBLE_FACT])
        return found if found is not None and found.selected == self.selected else None
