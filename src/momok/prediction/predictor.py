"""Ask a trained model: the missing side of a fact, or how likely given facts are.

Shapes: B queries, N entities, R relations, H heads, M modalities, P pairs, k answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from momok.arrays import Ints
from momok.errors import ConfigError
from momok.evaluation.scoring import ANSWER, DEFAULT_MEMORY_BUDGET, QUERY_BATCH
from momok.graph.candidates import Among, Name, Side, resolve_candidates
from momok.html import render_table
from momok.prediction.answering import find_answers
from momok.prediction.explain import Explainer
from momok.prediction.explanation import Explanation
from momok.prediction.new_entities import NewEntities, NewEntity, NewPredictions
from momok.prediction.questions import (
    Triple,
    check_count,
    check_flag,
    check_side,
    describe_question,
    list_triples,
    resolve_facts,
    resolve_question,
)
from momok.prediction.relations import RelationPredictions, predict_relations
from momok.prediction.results import FactScores, Predictions
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress
from momok.sharing import pull_from_hub
from momok.storage import check_path
from momok.training import RunFolder

Known = Literal["mark", "hide"]
"""Whether facts that the graph already has are marked or left out of the answers."""


class Predictor:
    """A trained model and its graph, ready for questions.

    Args:
        run: a run folder or its path; the checkpoint chosen on validation is used.
        device: ``auto`` takes a GPU when there is one.
        memory_budget: bytes of score buffers; answers do not depend on it.
        source: where the graph of the run lies now, if not where it was: a folder or a name.
            Only explanations and new entities need it, for features and pictures.
        calibrated: use the run's calibration where it has one.

    Attributes:
        run: the run folder.
        graph: the facts and names that the run was trained on.
        model: the model, in evaluation mode.
        heads, modalities: names of its decision heads and of its modalities.
        parts: what has a share of an answer: the modalities, and ``rules`` where it has any.
        calibration: what ``momok calibrate`` found for this checkpoint; None where it has not.
        scorer: encodes and scores for it; searches over whole relations take it.

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
        self.scorer = Scorer(
            run, device=device, memory_budget=memory_budget, source=source, calibrated=calibrated
        )
        self.run, self.graph, self.model = self.scorer.run, self.scorer.graph, self.scorer.model
        self.heads, self.modalities = self.scorer.heads, self.scorer.modalities
        self.parts = self.scorer.parts
        self.calibration = self.scorer.calibration

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, revision: str | None = None, **options: Any
    ) -> Predictor:
        """Open a run that was shared: a folder, or a repository on a hub, which is downloaded once.

        Args:
            name: a folder, or the name of a repository as ``user/name``.
            revision: a branch, tag or commit of the repository.
            options: as for ``Predictor``.

        Raises:
            FetchError: the hub has no such repository or was not reached.
            MissingExtraError: the extra ``hub`` is not installed.
            MomokError: as ``Predictor``.
        """
        folder = check_path(name, "name")
        beside = folder.parent != Path() and folder.parent.is_dir()  # "runs/mine" is no repository
        if revision is None and (folder.is_dir() or beside or isinstance(name, Path)):
            return cls(folder, **options)
        return cls(pull_from_hub(str(name), revision=revision), **options)

    def __repr__(self) -> str:
        said = "; ".join(f"{name} {value}" for name, value in self._summarise().items())
        return f"<Predictor of {str(self.run.path)!r}: {said}>"

    def _repr_html_(self) -> str:
        return render_table(f"Predictor of {self.run.path}", self._summarise().items())

    def _summarise(self) -> dict[str, str]:
        sizes = f"{self.graph.num_entities:,} entities, {self.graph.num_relations:,} relations"
        return {
            "graph": f"{self.graph.name} ({sizes})",
            "heads": ", ".join(self.heads),
            "modalities": ", ".join(self.modalities),
            "calibrated": "no" if self.calibration is None else "yes",
        }

    def predict(
        self,
        *,
        relation: Name,
        head: Name | None = None,
        tail: Name | None = None,
        k: int = 10,
        known: Known = "mark",
        plausible: bool = False,
        among: Among | None = None,
    ) -> Predictions:
        """Find the most likely tails of (head, relation, ?), or heads of (?, relation, tail).

        The entity asked about is among them only where the relation joins some entity to itself in
        train.

        Args:
            relation: a relation by label, name or id.
            head: an entity; then tails are wanted.
            tail: an entity; then heads are wanted.
            k: how many answers; fewer where the graph has fewer candidates.
            known: ``mark`` keeps facts that the graph already has, in any split, and says so;
                ``hide`` leaves them out.
            plausible: only entities that answer such a question in train.
            among: only these entities, by label, name or id; or only those of a type, by its name;
                or ``{"head": …, "tail": …}``, where heads and tails are wanted of different ones.

        Raises:
            UnknownLabelError: no such entity, relation or type; near misses are suggested.
            AmbiguousNameError: several share the name; their labels are listed.
            ConfigError: not exactly one of head and tail, k below 1, or another ``known``.
        """
        options: dict[str, Any] = {"known": known, "plausible": plausible, "among": among}
        return self.predict_many([(head, relation, tail)], k, **options)[0]

    def predict_relations(
        self, head: Name, tail: Name, k: int = 10, *, known: Known = "mark"
    ) -> RelationPredictions:
        """Find the most likely relations from one entity to another: (head, ?, tail).

        Args:
            head, tail: two entities by label, name or id.
            k: how many relations; fewer where the graph has fewer.
            known: as for ``predict``.

        Raises:
            MomokError: as ``predict``.
        """
        check_count("k", k, 1)
        _check_known(known)
        h, t = self.graph.find_entity(head), self.graph.find_entity(tail)
        return predict_relations(self.scorer, h, t, k, hide=known == "hide")

    def predict_many(
        self,
        queries: Sequence[Triple] | Any,
        k: int = 10,
        *,
        known: Known = "mark",
        plausible: bool = False,
        among: Among | None = None,
        progress: Progress = no_progress,
    ) -> list[Predictions]:
        """Answer many questions at once.

        Args:
            queries: each (head, relation, None) or (None, relation, tail); or a frame with these
                columns, of labels or names, where what is asked is missing.
            k, known, plausible, among: as for ``predict``.
            progress: is told of the questions.

        Raises:
            MomokError: as ``predict``; nothing is computed when one question is wrong.
        """
        queries = list_triples(queries, "questions")
        check_count("k", k, 1)
        check_flag("plausible", plausible)
        _check_known(known)
        resolved = [resolve_question(self.graph, tuple(query)) for query in queries]
        entities, relations = np.array(resolved, dtype=np.int64).reshape(-1, 2).T
        options: dict[str, Any] = {"hide": known == "hide", "plausible": plausible}
        candidates = resolve_candidates(self.graph, among)
        results: dict[int, Predictions] = {}
        for side, chosen in _batch(relations, self.graph.num_relations):
            asked = entities[chosen], relations[chosen]
            found = find_answers(self.scorer, *asked, k, **options, among=candidates.get(side))
            for row, place in enumerate(chosen.tolist()):
                entity = int(entities[place])
                question = describe_question(self.graph, entity, int(relations[place]))
                present = {m: bool(has[entity]) for m, has in self.scorer.present.items()}
                results[place] = Predictions(self.graph, question, found, row, present)
            progress("answering questions", len(results), len(queries))
        return [results[place] for place in range(len(queries))]

    def score_facts(
        self, facts: Sequence[tuple[Name, Name, Name]] | Ints | Any, *, asked: Side = "tail"
    ) -> FactScores:
        """Say how likely the model finds given facts, known or not.

        Args:
            facts: (head, relation, tail) by label, name or id; or ids [n, 3]; or a frame with these
                columns, of labels or names.
            asked: the side taken as the answer. The model was trained for both questions, and
                they give two numbers: ``tail`` is what ``predict(head=...)`` says of the tail.

        Raises:
            MomokError: as ``predict``.
        """
        check_side("asked", asked)
        ids = resolve_facts(self.graph, list_triples(facts, "facts"))
        entities, relations, answers = ids.T if asked == "tail" else ids[:, ::-1].T
        if asked == "head":
            relations = relations + self.graph.num_relations
        said = {name: np.empty(len(ids)) for name in (*self.heads, ANSWER)}
        calibrated = {name: np.empty(len(ids)) for name in said}
        pooling = self.scorer.pooling
        for _, chosen in _batch(relations, self.graph.num_relations):
            encoded = self.scorer.encode_queries(entities[chosen], relations[chosen])
            places = torch.arange(len(chosen), device=self.model.device)
            others = torch.from_numpy(answers[chosen]).to(self.model.device)
            logits = self.scorer.score_pairs(encoded.vectors, places, others)
            for head, values in logits.items():
                said[head][chosen] = pooling.compute_log_probabilities(values).exp().cpu().numpy()
            pooled = pooling.pool(logits, encoded.terms, places, others)
            said[ANSWER][chosen] = pooled.cpu().numpy()
            if self.calibration is not None:
                rest = self.scorer.find_rest(encoded, entities[chosen], relations[chosen])
                for name, raw in said.items():
                    calibrated[name][chosen] = self.calibration.apply(name, raw[chosen], rest)
        answer, probability = said.pop(ANSWER), calibrated.pop(ANSWER)
        return FactScores(
            answer=answer,
            heads=said,
            probability=probability if self.calibration is not None else None,
            head_probabilities=calibrated if self.calibration is not None else None,
        )

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
        check_side("asked", asked)
        check_count("limit", limit, 0)
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

    @cached_property
    def explainer(self) -> Explainer:
        """Explains facts by id; keeps what all explanations share."""
        return Explainer(self.scorer)

    @cached_property
    def new_entities(self) -> NewEntities:
        """Answers questions about entities that came later; keeps what they share."""
        return NewEntities(self.scorer)


def _check_known(known: str) -> None:
    if not isinstance(known, str) or known not in get_args(Known):
        raise ConfigError(f"known = {known!r}: expected 'mark' or 'hide'")


def _batch(relations: Ints, num_relations: int) -> Iterator[tuple[Side, Ints]]:
    """The side that is asked for and the positions of such queries, in batches, by relation: the
    model shares work within a relation."""
    sides: tuple[tuple[Side, Any], ...] = (
        ("tail", relations < num_relations),
        ("head", relations >= num_relations),
    )
    for side, mine in sides:
        places = np.flatnonzero(mine)
        order = places[np.argsort(relations[places], kind="stable")]
        for start in range(0, len(order), QUERY_BATCH):
            yield side, order[start : start + QUERY_BATCH]
