"""Fits the pool on the validation facts, and says what it is worth.

Weights minimise the cross-entropy of the true answers among all other entities (known answers
left out), a convex problem. Per query only the answer, the best candidates and a sample that
stands for the others are kept. Which kind of weights is taken (one head alone, the same for all,
global ones, or by relation) is decided by their mean reciprocal rank on facts that they were not
fitted to (two folds): the pool is never worse there than its best head.

Shapes: Q queries, C candidates kept of each, F features (heads, then evidence), R relations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Ints
from momok.evaluation.pool import RULES, Pool, count_features, find_absent, make_features
from momok.evaluation.pooling import collect_terms
from momok.evaluation.scoring import BlockScorer, HeadVectors, full_precision
from momok.graph import MultimodalGraph
from momok.model.towers import TwoTowerModel
from momok.progress import Progress, no_progress
from momok.rules import Rules

_QUERIES = 16_384  # at most; a weight per relation needs them, a sum over more is only slower
_BEST, _SAMPLE = 192, 64  # candidates kept of a query
_BLOCK = 256  # queries scored at a time
_RIDGES = (10.0, 100.0)  # what weights by relation are held to the global ones with
_GLOBAL_RIDGE = 1.0
_EVIDENCE = 0.1  # weight of every feature of evidence at the start, and in the choice of the best
_ITERATIONS = 30


@dataclass(frozen=True)
class PoolChoice:
    """What became of the fit.

    Attributes:
        chosen: the kind of weights.
        mrr: of every kind, its mean reciprocal rank on validation facts that it was not fitted to,
            estimated from the candidates kept; a head alone has its name.
        brings: per head, and ``rules``, how much higher the rank of global weights is with it.
        facts: how many validation facts that was.
    """

    chosen: str
    mrr: dict[str, float]
    brings: dict[str, float]
    facts: int


@dataclass(frozen=True, eq=False)
class _Data:
    """What is kept of Q queries; the true answer comes first of the candidates.

    Attributes:
        features: [Q, C, F].
        sizes: [Q, C] how many candidates one stands for, as a logarithm; minus infinity: none.
        relations: [Q].
        absent: [Q, H] 1 where the entity has none of the head's modality.
        fold: [Q] 0 or 1; both queries of a fact are in one.
    """

    features: Tensor
    sizes: Tensor
    relations: Tensor
    absent: Tensor
    fold: Tensor

    def select(self, rows: Tensor) -> _Data:
        return _Data(*(value[rows] for value in vars(self).values()))

    def without(self, features: slice) -> _Data:
        """The same with some features of no effect."""
        kept = self.features.clone()
        kept[:, :, features] = 0.0
        return _Data(kept, self.sizes, self.relations, self.absent, self.fold)


@dataclass(frozen=True, eq=False)
class _Weights:
    """[F] of all queries, [2R, F] what a relation adds, [H] what an absent modality adds."""

    common: Tensor
    of_relation: Tensor
    absent: Tensor

    def score(self, data: _Data) -> Tensor:
        """Pooled scores [Q, C]."""
        heads = data.absent.shape[1]
        own = self.common + self.of_relation[data.relations]
        own = torch.cat([own[:, :heads] + data.absent * self.absent, own[:, heads:]], dim=1)
        return torch.bmm(data.features, own.unsqueeze(2)).squeeze(2)


def fit_pool(
    model: TwoTowerModel,
    graph: MultimodalGraph,
    rules: Rules | None,
    *,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Pool:
    """Fit the weights of a model's heads, and of rules, on the validation facts.

    The model gives log-probabilities (``softmax``) and is in evaluation mode.
    """
    data = _collect(model, graph, rules, np.random.default_rng(seed), progress)
    heads, relations = tuple(model.heads), 2 * graph.num_relations
    start = _start(data, len(heads), relations)
    ridges: dict[str, float | None] = {"global": None}
    ridges |= {f"by relation (ridge {ridge:g})": ridge for ridge in _RIDGES}
    ranks = {head: _measure(data, _alone(start, k)) for k, head in enumerate(heads)}
    if len(heads) > 1 or rules is not None:
        ranks["equal"] = _measure(data, start)
        for kind, ridge in ridges.items():
            ranks[kind] = _cross_fit(data, start, ridge=ridge)
    mrr = {kind: float(found.mean()) for kind, found in ranks.items()}
    chosen = max(mrr, key=mrr.__getitem__)
    brings = {}
    if "global" in mrr:
        for name, columns in _list_parts(heads, rules):
            rest = _cross_fit(data.without(columns), start, ridge=None)
            brings[name] = mrr["global"] - float(rest.mean())
    if chosen in heads:
        weights = _alone(start, heads.index(chosen))
    elif chosen == "equal":
        weights = start
    else:
        weights = _fit(data, start, ridge=ridges[chosen])
    about = PoolChoice(chosen, mrr, brings, len(data.fold) // 2)
    return Pool(
        heads=heads,
        weights=(weights.common + weights.of_relation).float(),
        absent=weights.absent.float(),
        present={head: model.present[head].bool() for head in heads if head in model.present},
        rules=rules,
        about=asdict(about),
    )


def _list_parts(heads: tuple[str, ...], rules: Rules | None) -> Iterator[tuple[str, slice]]:
    yield from ((head, slice(k, k + 1)) for k, head in enumerate(heads))
    if rules is not None:
        yield RULES, slice(len(heads), None)


# -- what is kept of the validation queries -----------------------------------------------------


def _collect(
    model: TwoTowerModel,
    graph: MultimodalGraph,
    rules: Rules | None,
    random: np.random.Generator,
    progress: Progress,
) -> _Data:
    facts = graph.valid
    if 2 * len(facts) > _QUERIES:
        facts = facts[np.sort(random.permutation(len(facts))[: _QUERIES // 2])]
    heads, relations, tails = facts.T
    entities = np.concatenate([heads, tails])
    relations = np.concatenate([relations, relations + graph.num_relations])
    answers = np.concatenate([tails, heads])
    fold = np.tile(random.permutation(len(facts)) % 2, 2)
    order = np.argsort(relations, kind="stable")  # a model shares work within a relation
    candidates = {head: x.float() for head, x in model.candidates().vectors.items()}
    scorer = _Keeper(model, graph, rules, candidates, random)
    features, sizes = [], []
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        kept = scorer.keep(entities[block], relations[block], answers[block])
        features.append(kept[0])
        sizes.append(kept[1])
        progress("fitting the pool", min(start + _BLOCK, len(order)), len(order))
    present = {head: model.present[head].cpu() for head in model.heads if head in model.present}
    ids = torch.from_numpy(entities[order])
    return _Data(
        features=torch.cat(features),
        sizes=torch.cat(sizes),
        relations=torch.from_numpy(relations[order]),
        absent=find_absent(tuple(model.heads), present, ids),
        fold=torch.from_numpy(fold[order]),
    )


@dataclass(frozen=True, eq=False)
class _Keeper:
    """Scores queries and keeps the candidates that matter."""

    model: TwoTowerModel
    graph: MultimodalGraph
    rules: Rules | None
    candidates: HeadVectors
    random: np.random.Generator

    def keep(self, entities: Ints, relations: Ints, answers: Ints) -> tuple[Tensor, Tensor]:
        """Features [B, C, F] and sizes [B, C] of queries about entities [B]."""
        device = next(iter(self.candidates.values())).device
        ids = (torch.from_numpy(x).to(device) for x in (entities, relations))
        scores: list[Tensor] = []
        with full_precision():
            vectors = {h: x.float() for h, x in self.model.queries(*ids).vectors.items()}
            BlockScorer().score(
                vectors, self.candidates, lambda _head, costs: scores.append(-costs)
            )
        stacked = torch.stack(scores)  # [H, B, N]
        evidence, evidence_features = self._find_evidence(entities, relations)
        usual = stacked.mean(dim=0).cpu()
        usual[evidence] += _EVIDENCE * evidence_features.sum(dim=0)
        usual = torch.maximum(usual, stacked.amax(dim=0).cpu())
        known = self.graph.true_facts.lookup(entities, relations)
        usual[torch.from_numpy(known[0]), torch.from_numpy(known[1])] = -torch.inf
        rows, count = torch.arange(len(entities))[:, None], usual.shape[1]
        usual[rows[:, 0], torch.from_numpy(answers)] = -torch.inf
        best = usual.topk(min(_BEST, count), dim=1)
        taken = torch.zeros_like(usual, dtype=torch.bool)
        taken[rows, best.indices] = True
        taken |= usual == -torch.inf
        sample = torch.from_numpy(self.random.integers(0, count, (len(entities), _SAMPLE)))
        stands_for = float(np.log(count / _SAMPLE))
        of_sample = torch.where(taken[rows, sample], -torch.inf, stands_for)
        of_best = torch.where(best.values == -torch.inf, -torch.inf, 0.0)
        columns = torch.cat([torch.from_numpy(answers)[:, None], best.indices, sample], dim=1)
        sizes = torch.cat([torch.zeros(len(entities), 1), of_best, of_sample], dim=1)
        of_heads = stacked[:, rows.to(device), columns.to(device)].permute(1, 2, 0).cpu()
        return torch.cat([of_heads, self._gather(evidence, evidence_features, columns)], 2), sizes

    def _find_evidence(
        self, entities: Ints, relations: Ints
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Places (rows [n], columns [n]) that rules speak of, and features [J, n]."""
        if self.rules is None:
            nothing = torch.empty(0, dtype=torch.int64)
            return (nothing, nothing), torch.empty(0, 0)
        found = self.rules.find_evidence(entities, relations)
        places = torch.from_numpy(found.rows), torch.from_numpy(found.columns)
        return places, torch.from_numpy(make_features(found.values))

    def _gather(self, places: tuple[Tensor, Tensor], features: Tensor, columns: Tensor) -> Tensor:
        """Features [B, C, J] of the candidates ``columns`` [B, C]."""
        shape = (*columns.shape, count_features(self.rules))
        if not features.numel():
            return torch.zeros(shape)
        terms = collect_terms(
            torch.empty(len(columns), 0),
            places[0].numpy(),
            places[1].numpy(),
            torch.arange(1, features.shape[1] + 1),
        )
        rows = torch.arange(len(columns)).repeat_interleave(columns.shape[1])
        found = terms.find_evidence(rows, columns.reshape(-1)).long()
        with_nothing = torch.cat([torch.zeros(len(features), 1), features], dim=1)
        return with_nothing[:, found].T.reshape(shape)


# -- weights ------------------------------------------------------------------------------------


def _start(data: _Data, heads: int, relations: int) -> _Weights:
    """Heads that weigh the same, and a little of every feature of evidence."""
    count = data.features.shape[2]
    common = torch.full((count,), _EVIDENCE)
    common[:heads] = 1 / heads
    return _Weights(common, torch.zeros(relations, count), torch.zeros(heads))


def _alone(start: _Weights, head: int) -> _Weights:
    common = torch.zeros_like(start.common)
    common[head] = 1.0
    return _Weights(common, start.of_relation, start.absent)


def _fit(data: _Data, start: _Weights, *, ridge: float | None) -> _Weights:
    """Weights of the least cross-entropy; those by relation where there is a ``ridge`` for it."""
    found = [value.clone().requires_grad_() for value in vars(start).values()]
    common, of_relation, absent = found
    trained = [common, absent, *([] if ridge is None else [of_relation])]
    optimizer = torch.optim.LBFGS(trained, max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def compute() -> float:
        optimizer.zero_grad()
        scores = _Weights(*found).score(data) + data.sizes
        loss = (scores.logsumexp(dim=1) - scores[:, 0]).sum()
        loss = loss + _GLOBAL_RIDGE * (common - start.common).square().sum()
        loss = loss + _RIDGES[0] * absent.square().sum()
        if ridge is not None:
            loss = loss + ridge * of_relation.square().sum()
        loss = loss / len(data.fold)
        loss.backward()
        return float(loss.detach())

    with torch.enable_grad():
        optimizer.step(compute)  # type: ignore[no-untyped-call]
    return _Weights(*(value.detach() for value in found))


def _cross_fit(data: _Data, start: _Weights, *, ridge: float | None) -> Tensor:
    """Reciprocal ranks [Q] under weights fitted to the other fold."""
    found = torch.empty(len(data.fold))
    for fold in (0, 1):
        mine = data.fold == fold
        weights = _fit(data.select(~mine), start, ridge=ridge)
        found[mine] = _measure(data.select(mine), weights)
    return found


def _measure(data: _Data, weights: _Weights) -> Tensor:
    """Reciprocal ranks [Q], estimated from the candidates kept."""
    scores = weights.score(data)
    others, answer = scores[:, 1:], scores[:, :1]
    better = (others > answer).float() + 0.5 * (others == answer).float()
    return torch.reciprocal(1.0 + (better * data.sizes[:, 1:].exp()).sum(dim=1))
