"""Ask a trained model: the missing side of a fact, or how likely given facts are.

Shapes: B queries, N entities, R relations, H heads, M modalities, P pairs, k answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.errors import CheckpointError, ConfigError
from momok.evaluation import ANSWER, DEFAULT_MEMORY_BUDGET
from momok.model.votes import average_votes, say_probabilities
from momok.prediction.answering import find_answers
from momok.prediction.explain import Explainer
from momok.prediction.explanation import Explanation, average_branches
from momok.prediction.known import KnownFacts
from momok.prediction.new_entities import NewEntities, NewEntity, NewPredictions
from momok.prediction.original_graph import GraphSource, find_source
from momok.prediction.questions import (
    Name,
    Side,
    Triple,
    describe_question,
    resolve_facts,
    resolve_question,
)
from momok.prediction.results import FactScores, Predictions
from momok.prediction.scorer import (
    check_sizes,
    choose_device,
    encode_candidates,
    load_current_calibration,
)
from momok.prediction.top_k import score_pairs
from momok.prediction.train_sides import TrainSides
from momok.training import RunFolder
from momok.training.checkpoint import load_model

__all__ = ["Known", "Predictor"]

Ints: TypeAlias = NDArray[np.int64]
Known = Literal["mark", "hide"]
"""Whether facts that the graph already has are marked or left out of the answers."""

_QUERY_BATCH = 256  # as in evaluation: larger products rank no faster


class Predictor:
    """A trained model and its graph, ready for questions.

    All candidates are encoded once, in float32, when the predictor is made.

    Args:
        run: a run folder or its path; the checkpoint chosen on validation is used.
        device: ``auto`` takes a GPU when there is one.
        memory_budget: bytes of score buffers; answers do not depend on it.
        source: where the graph of the run lies now, if not where it was: a folder or a name.
            Only explanations need it, for features and pictures.
        calibrated: use the run's calibration where it has one.

    Attributes:
        run: the run folder.
        graph: the facts and names that the run was trained on.
        model: the model, in evaluation mode.
        selected: which epoch its checkpoint is of, and by what it was chosen.
        calibration: what ``momok calibrate`` found for this checkpoint; None where it has not.
        abstentions: whether some head does not vote on some entities (``momok.model.votes``).

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
        self.model, state = load_model(self.run.best_checkpoint, choose_device(device))
        self.selected: Mapping[str, Any] = state.get("selected", {})
        self.memory_budget = memory_budget
        check_sizes(self.run, self.graph, self.model)
        self._candidates, self._gates, self._attention = encode_candidates(self.model)
        for head, vectors in self._candidates.items():
            self._check_finite(head, vectors)
        self.calibration = (
            load_current_calibration(self.run, state, self.heads) if calibrated else None
        )
        self.abstentions = bool(self.model.abstaining)
        self._present = {m: p.cpu().numpy().astype(bool) for m, p in self.model.present.items()}

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the decision heads."""
        return self.model.heads

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return self.model.modalities

    @property
    def candidate_vectors(self) -> Mapping[str, Tensor]:
        """What the candidates are, per head [N, d], float32."""
        return self._candidates

    def encode_queries(self, entities: Ints, relations: Ints) -> dict[str, Tensor]:
        """Query vectors per head [B, d], float32, of ids [B]; relations in 0..2R-1.

        Raises:
            CheckpointError: the model gives values that are not finite.
        """
        return self._encode_queries(entities, relations)[0]

    # -- questions -------------------------------------------------------------------------

    def predict(
        self,
        *,
        relation: Name,
        head: Name | None = None,
        tail: Name | None = None,
        k: int = 10,
        known: Known = "mark",
        plausible: bool = False,
    ) -> Predictions:
        """Find the most likely tails of (head, relation, ?), or heads of (?, relation, tail).

        Args:
            relation: a relation by label, name or id.
            head: an entity; then tails are wanted.
            tail: an entity; then heads are wanted.
            k: how many answers; fewer where the graph has fewer candidates.
            known: ``mark`` keeps facts that the graph already has, in any split, and says so;
                ``hide`` leaves them out.
            plausible: only entities that answer such a question in train; and the entity asked
                about only where the relation joins an entity to itself in train.

        Raises:
            UnknownLabelError: no such entity or relation; near misses are suggested.
            AmbiguousNameError: several share the name; their labels are listed.
            ConfigError: not exactly one of head and tail, k below 1, or another ``known``.
        """
        return self.predict_many([(head, relation, tail)], k, known=known, plausible=plausible)[0]

    def predict_many(
        self,
        queries: Sequence[Triple],
        k: int = 10,
        *,
        known: Known = "mark",
        plausible: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Predictions]:
        """Answer many questions at once.

        Args:
            queries: each (head, relation, None) or (None, relation, tail).
            k, known, plausible: as for ``predict``.
            progress: is told (done, total) questions.

        Raises:
            MomokError: as ``predict``; nothing is computed when one question is wrong.
        """
        if k < 1:
            raise ConfigError(f"k = {k}: expected at least 1 answer")
        if known not in get_args(Known):
            raise ConfigError(f"known = {known!r}: expected 'mark' or 'hide'")
        resolved = [resolve_question(self.graph, query) for query in queries]
        entities, relations = np.array(resolved, dtype=np.int64).reshape(-1, 2).T
        results: list[Predictions | None] = [None] * len(queries)
        done = 0
        for chosen in _batch_by_relation(relations):
            answers = find_answers(
                self,
                entities[chosen],
                relations[chosen],
                k,
                hide=known == "hide",
                plausible=plausible,
            )
            for row, place in enumerate(chosen):
                question = describe_question(self.graph, entities[place], relations[place])
                results[place] = Predictions(self.graph, question, answers, row, self._shared_names)
            done += len(chosen)
            if progress is not None:
                progress(done, len(queries))
        return [result for result in results if result is not None]

    def score_facts(
        self, facts: Sequence[tuple[Name, Name, Name]] | Ints, *, asked: Side = "tail"
    ) -> FactScores:
        """Say how likely the model finds given facts, known or not.

        Args:
            facts: (head, relation, tail) by label, name or id; or ids [n, 3].
            asked: the side taken as the answer. The model was trained for both questions, and
                they give two numbers: ``tail`` is what ``predict(head=...)`` says of the tail.

        Raises:
            MomokError: as ``predict``.
        """
        if asked not in get_args(Side):
            raise ConfigError(f"asked = {asked!r}: expected 'head' or 'tail'")
        ids = resolve_facts(self.graph, facts)
        entities, relations, answers = ids.T if asked == "tail" else ids[:, ::-1].T
        if asked == "head":
            relations = relations + self.graph.num_relations
        probabilities = {head: np.empty(len(ids)) for head in self.heads}
        answer = np.empty(len(ids))
        for chosen in _batch_by_relation(relations):
            vectors, _, _ = self._encode_queries(entities[chosen], relations[chosen])
            logits = self._score_pairs(vectors, np.arange(len(chosen)), answers[chosen])
            for head, values in logits.items():
                probabilities[head][chosen] = say_probabilities(values).cpu().numpy()
            answer[chosen] = average_votes(logits).cpu().numpy()
        calibrated = None if self.calibration is None else self.calibration.apply(ANSWER, answer)
        return FactScores(answer=answer, heads=probabilities, probability=calibrated)

    def explain(
        self, head: Name, relation: Name, tail: Name, *, asked: Side = "tail", limit: int = 5
    ) -> Explanation:
        """Say what led to the probability of a fact, known or not.

        The first call makes what all explanations of a run share, and looks for the graph that
        the run was trained on. What is not there any more is said (``Explanation.source``).

        Args:
            head, relation, tail: the fact, by label, name or id.
            asked: the side taken as the answer, as for ``score_facts``.
            limit: how many similar entities and train facts to list, per list.

        Raises:
            MomokError: as ``predict``.
        """
        if asked not in get_args(Side):
            raise ConfigError(f"asked = {asked!r}: expected 'head' or 'tail'")
        if limit < 0:
            raise ConfigError(f"limit = {limit}: expected 0 or more")
        h, r, t = resolve_facts(self.graph, [(head, relation, tail)])[0].tolist()
        return self.explainer.explain(h, r, t, asked, limit)

    def predict_new(
        self,
        entity: NewEntity,
        *,
        relation: Name,
        role: Side = "head",
        k: int = 10,
        plausible: bool = False,
    ) -> NewPredictions:
        """Find answers for an entity that the graph does not have, from its texts and pictures.

        Args:
            entity: what is known of it.
            relation: a relation by label, name or id.
            role: ``head`` asks (entity, relation, ?), ``tail`` asks (?, relation, entity).
            k: how many answers.
            plausible: only entities that answer such a question in train.

        Raises:
            MomokError: as ``predict``; or nothing is known that the model has a modality for, a
                picture cannot be read, an encoder is not installed or not the graph's, or the
                graph is not where it was.
        """
        return self.new_entities.answer(entity, relation, role, k, plausible=plausible)

    # -- the arithmetic --------------------------------------------------------------------

    @torch.no_grad()
    def _encode_queries(
        self, entities: Ints, relations: Ints
    ) -> tuple[dict[str, Tensor], dict[str, NDArray[np.float64]], Tensor | None]:
        """Vectors per head [B, d], gates per modality [B, K], the joint head's attention [B, M]."""
        device = self.model.device
        queries = self.model.queries(
            torch.from_numpy(entities).to(device), torch.from_numpy(relations).to(device)
        )
        vectors = {head: queries.vectors[head].float() for head in self.heads}
        for head, values in vectors.items():
            self._check_finite(head, values)
        gates = {m: gate.double().cpu().numpy() for m, gate in queries.gates.items()}
        return vectors, gates, average_branches(queries.fusion_weights)

    def _score_pairs(
        self, vectors: dict[str, Tensor], rows: Tensor | Ints, ids: Tensor | Ints
    ) -> dict[str, Tensor]:
        device = self.model.device
        return score_pairs(
            vectors,
            self._candidates,
            torch.as_tensor(rows, device=device),
            torch.as_tensor(ids, device=device),
            memory_budget=self.memory_budget,
        )

    def _check_finite(self, head: str, vectors: Tensor) -> None:
        if not bool(torch.isfinite(vectors).all()):
            raise CheckpointError(
                f"{self.run.best_checkpoint}: head {head!r} gives values that are not finite: "
                "the checkpoint is damaged or training diverged; restore it or train again"
            )

    # -- made when first needed ------------------------------------------------------------

    @cached_property
    def source(self) -> GraphSource:
        """Features and pictures of the graph that the run was trained on, as far as they are."""
        return find_source(self.run, self.graph, self._moved_to)

    @cached_property
    def explainer(self) -> Explainer:
        """Explains facts by id; keeps what all explanations share."""
        return Explainer(self)

    @cached_property
    def new_entities(self) -> NewEntities:
        """Answers questions about entities that came later; keeps what they share."""
        return NewEntities(self, self._shared_names)

    @cached_property
    def train_sides(self) -> TrainSides:
        """Which entities every relation has in train."""
        return TrainSides(self.graph)

    @cached_property
    def _known(self) -> KnownFacts:
        return KnownFacts(self.graph)

    @cached_property
    def _shared_names(self) -> frozenset[str]:
        counts = Counter(name.casefold() for name in self.graph.entity_names)
        return frozenset(name for name, count in counts.items() if count > 1)


def _batch_by_relation(relations: Ints) -> Iterator[Ints]:
    """Positions of queries in batches, by relation: the model shares work within a relation."""
    order = np.argsort(relations, kind="stable")
    for start in range(0, len(order), _QUERY_BATCH):
        yield order[start : start + _QUERY_BATCH]
