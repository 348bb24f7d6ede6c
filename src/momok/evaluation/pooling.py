"""How the decisions of the heads, and the evidence of rules, become one answer.

Shapes: B queries, H heads, N candidates, P pairs of query and candidate, n pieces of evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Ints

# A tile of float32 scores and its comparison flags (1 MB each) fit the L2 cache of two cores.
CPU_TILE = 1 << 18
_LEAST_REST = 1e-5  # of a whole: less is not told from rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """What the answers to B queries take beside the scores of their heads.

    Args:
        weights: [B, H] of the heads' scores, in the order of the heads.
        starts: [B + 1] where the evidence of a query begins in ``columns`` and ``values``.
        columns: [n] candidates that rules speak of, ascending within a query.
        values: [n] what is added to their scores.
        constants: [B] what is added to all scores of a query: the answers are probabilities with
            it.
    """

    weights: Tensor
    starts: Tensor
    columns: Tensor
    values: Tensor
    constants: Tensor

    def __len__(self) -> int:
        return len(self.weights)

    def select(self, rows: Tensor) -> Terms:
        """The terms of the queries ``rows`` [b], in any order."""
        counts = self.starts[rows + 1] - self.starts[rows]
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        within = torch.arange(int(starts[-1]), device=counts.device)
        places = within + (self.starts[rows] - starts[:-1]).repeat_interleave(counts)
        return Terms(
            weights=self.weights[rows],
            starts=starts,
            columns=self.columns[places],
            values=self.values[places],
            constants=self.constants[rows],
        )

    def restrict(self, ids: Tensor) -> Terms:
        """The terms where the candidates are ``ids`` [m], ascending, alone: columns are places."""
        places = torch.searchsorted(ids, self.columns).clamp(max=max(len(ids) - 1, 0))
        inside = ids[places] == self.columns if len(ids) else self.columns < 0
        kept = torch.cat([inside.new_zeros(1, dtype=torch.int64), inside.long().cumsum(0)])
        return replace(
            self, starts=kept[self.starts], columns=places[inside], values=self.values[inside]
        )

    @property
    def rows(self) -> Tensor:
        """[n] the query of every piece of evidence, ascending."""
        counts = self.starts.diff()
        return torch.arange(len(counts), device=counts.device).repeat_interleave(counts)

    def add_to(self, scores: Tensor, first: int) -> None:
        """Add evidence and constants to scores [B, n] of the candidates from ``first`` on."""
        rows, columns, values = self.rows, self.columns - first, self.values
        if first or scores.shape[1] <= (int(columns.max()) if len(columns) else 0):
            inside = (columns >= 0) & (columns < scores.shape[1])
            rows, columns, values = rows[inside], columns[inside], values[inside]
        if len(values):
            scores[rows, columns] += values.to(scores.dtype)
        if self.constants.any():
            scores += self.constants.to(scores.dtype).unsqueeze(1)

    def find_evidence(self, rows: Tensor, ids: Tensor) -> Tensor:
        """What rules add to the scores of candidates ``ids`` [P] for queries ``rows`` [P]."""
        if not len(self.columns) or not len(ids):
            return self.values.new_zeros(len(rows), dtype=torch.float64)
        width = int(max(self.columns.max(), ids.max())) + 1
        keys, wanted = self.rows * width + self.columns, rows * width + ids
        places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        return torch.where(keys[places] == wanted, self.values[places].double(), 0.0)


def empty_terms(weights: Tensor) -> Terms:
    """Terms of queries with these weights [B, H] and nothing else."""
    count, device = len(weights), weights.device
    return Terms(
        weights=weights,
        starts=torch.zeros(count + 1, dtype=torch.int64, device=device),
        columns=torch.empty(0, dtype=torch.int64, device=device),
        values=torch.empty(0, device=device),
        constants=torch.zeros(count, dtype=torch.float64, device=device),
    )


def collect_terms(weights: Tensor, rows: Ints, columns: Ints, values: Tensor) -> Terms:
    """Terms of queries with weights [B, H] and evidence (rows, columns, values) [n], rows and
    columns within them ascending."""
    starts = np.searchsorted(rows, np.arange(len(weights) + 1))
    return replace(
        empty_terms(weights),
        starts=torch.from_numpy(starts).to(weights.device),
        columns=torch.from_numpy(columns).to(weights.device),
        values=values.to(weights.device),
    )


def join_terms(parts: Sequence[Terms]) -> Terms:
    """The terms of the queries of all parts, of which there is at least one."""
    ends = np.cumsum([0, *(len(part.columns) for part in parts)]).tolist()
    first = parts[0].starts[:1]
    starts = [part.starts[1:] + end for part, end in zip(parts, ends, strict=False)]
    return Terms(
        weights=torch.cat([part.weights for part in parts]),
        starts=torch.cat([first, *starts]),
        columns=torch.cat([part.columns for part in parts]),
        values=torch.cat([part.values for part in parts]),
        constants=torch.cat([part.constants for part in parts]),
    )


def compute_pooled_shares(
    scores: Mapping[str, Tensor], terms: Terms, rows: Tensor, ids: Tensor, candidates: int
) -> Tensor:
    """The share of every head, and last of rules, in pooled answers: [P, H + 1], rows sum to one.

    It is what they raise an answer by above that of a guess among all ``candidates``, as far as
    they do; where nothing does, the weight of the heads.

    Args:
        scores: per head [P], of candidates ``ids`` [P] for the queries ``rows`` [P] of ``terms``.
    """
    weights = terms.weights[rows].double()
    raised = weights * (torch.stack(list(scores.values()), dim=1) + np.log(candidates))
    evidence = terms.find_evidence(rows, ids).unsqueeze(1)
    weights = torch.cat([weights, torch.zeros_like(evidence)], dim=1)
    found = torch.cat([raised, evidence], dim=1).clamp(min=0.0)
    total = found.sum(dim=1, keepdim=True)
    return torch.where(total > 0, found / total, weights / weights.sum(dim=1, keepdim=True))


class Pooling:
    """How the heads become the answer, and what a head's score means.

    ``Terms`` are known to ``LogLinear`` alone.
    """

    def add(self, total: Tensor, costs: Tensor, weight: Tensor | float, *, first: bool) -> None:
        """Add one head to the ``total`` of those before, in place; ``first`` overwrites it.

        ``costs`` are the negated scores; they may be overwritten. The total ranks like the answer.
        """
        raise NotImplementedError

    def add_bound(
        self, bound: Tensor, costs: Tensor, weight: Tensor | float, *, first: bool
    ) -> None:
        """As ``add``, and no cost is overwritten: a bound of what ``find_scores`` gives."""
        raise NotImplementedError

    def finish(self, total: Tensor, heads: int) -> Tensor:
        """The answer from what ranks like it, in place."""
        raise NotImplementedError

    def pool(
        self,
        scores: Mapping[str, Tensor],
        terms: Terms | None = None,
        rows: Tensor | None = None,
        ids: Tensor | None = None,
    ) -> Tensor:
        """The answer from scores per head; in float64 where they are.

        Args:
            scores: of any shape; with ``terms`` [P].
            terms: of the queries.
            rows, ids: [P] which of the queries, and which candidates.
        """
        raise NotImplementedError

    def compute_log_probabilities(self, scores: Tensor) -> Tensor:
        """The logarithm of what a head says of scores."""
        raise NotImplementedError

    def find_scores(self, probabilities: Tensor) -> Tensor:
        """The scores with which a head says these probabilities."""
        raise NotImplementedError

    def find_least_bound(self, answer: float) -> float:
        """What ``add_bound`` gives at least wherever the answer is at least this."""
        raise NotImplementedError


class MeanOfSigmoids(Pooling):
    """The mean over the heads of ``sigmoid(score)``: a score is the log-odds of a pair."""

    def add(self, total: Tensor, costs: Tensor, weight: Tensor | float, *, first: bool) -> None:  # noqa: ARG002
        # Not torch.sigmoid: on CPU its vector and scalar paths round differently, so that equal
        # scores would get unequal probabilities by their position. These steps round alike.
        tile = max(CPU_TILE, costs.shape[-1]) if costs.device.type == "cpu" else costs.numel()
        for target, cost in zip(
            torch.split(total.view(-1), max(tile, 1)),
            torch.split(costs.view(-1), max(tile, 1)),
            strict=True,
        ):
            probability = torch.exp(cost, out=target if first else cost).add_(1.0).reciprocal_()
            if not first:
                target.add_(probability)

    def add_bound(
        self,
        bound: Tensor,
        costs: Tensor,
        weight: Tensor | float,  # noqa: ARG002
        *,
        first: bool,
    ) -> None:
        # the mean of sigmoids is at most the sigmoid of the largest score
        if first:
            torch.neg(costs, out=bound)
        else:
            torch.maximum(bound, costs.neg_(), out=bound)

    def finish(self, total: Tensor, heads: int) -> Tensor:
        return total.div_(heads)

    def pool(
        self,
        scores: Mapping[str, Tensor],
        terms: Terms | None = None,  # noqa: ARG002
        rows: Tensor | None = None,  # noqa: ARG002
        ids: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        first, *others = (torch.sigmoid(part) for part in scores.values())
        for part in others:
            first.add_(part)
        return first.div_(len(scores))

    def compute_log_probabilities(self, scores: Tensor) -> Tensor:
        return torch.nn.functional.logsigmoid(scores)

    def find_scores(self, probabilities: Tensor) -> Tensor:
        return torch.logit(probabilities)

    def find_least_bound(self, answer: float) -> float:
        if answer <= 0.0:
            return -np.inf
        if answer >= 1.0:
            return 36.0  # the largest logit whose sigmoid is below 1 in float64
        return float(np.log(answer) - np.log1p(-answer))


class LogLinear(Pooling):
    """A weighted sum of the heads' log-probabilities and of evidence, made a probability again.

    A head's score is its log-probability among all entities, as a softmax trains it. Without
    ``Terms`` the heads weigh the same, there is no evidence, and the sum is not normalised.
    """

    def add(self, total: Tensor, costs: Tensor, weight: Tensor | float, *, first: bool) -> None:
        if first:
            torch.mul(costs, -weight, out=total)
        elif isinstance(weight, Tensor):
            total.addcmul_(costs, weight, value=-1)
        else:
            total.sub_(costs, alpha=weight)

    def add_bound(
        self, bound: Tensor, costs: Tensor, weight: Tensor | float, *, first: bool
    ) -> None:
        self.add(bound, costs, weight, first=first)

    def finish(self, total: Tensor, heads: int) -> Tensor:  # noqa: ARG002
        return total.exp_().clamp_(max=1.0)

    def pool(
        self,
        scores: Mapping[str, Tensor],
        terms: Terms | None = None,
        rows: Tensor | None = None,
        ids: Tensor | None = None,
    ) -> Tensor:
        stacked = torch.stack(list(scores.values()))
        if terms is None or rows is None or ids is None:
            return stacked.mean(dim=0).exp().clamp(max=1.0)
        total = (stacked * terms.weights[rows].T).sum(dim=0) + terms.find_evidence(rows, ids)
        return (total + terms.constants[rows]).exp().clamp(max=1.0)

    def compute_log_probabilities(self, scores: Tensor) -> Tensor:
        return scores.clamp(max=0.0)  # rounding may make it larger

    def find_scores(self, probabilities: Tensor) -> Tensor:
        return torch.log(probabilities)

    def find_least_bound(self, answer: float) -> float:
        return float(np.log(answer)) if answer > 0.0 else -np.inf


MEAN, LOG_LINEAR = MeanOfSigmoids(), LogLinear()


def choose_pooling(softmax: bool) -> Pooling:
    """The pooling for scores that a softmax trained, or for log-odds of pairs."""
    return LOG_LINEAR if softmax else MEAN


def compute_rest(rows: Tensor, probabilities: Tensor, count: int) -> Tensor:
    """What known answers (rows, probabilities) [n] leave of each of so many questions."""
    taken = torch.zeros(count, dtype=torch.float64, device=rows.device)
    taken.index_add_(0, rows, probabilities.double())
    return (1 - taken).clamp_min(_LEAST_REST)
