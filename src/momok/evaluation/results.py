"""What an evaluation found: metrics by every grouping, as a value that goes to JSON and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import InstanceOf, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from momok.arrays import Floats, Ints
from momok.config import describe_problem
from momok.errors import RunError
from momok.evaluation.metrics import HITS_AT, Metrics
from momok.evaluation.scoring import ANSWER
from momok.html import render_table

Split = Literal["valid", "test"]
Protocol = Literal["clean", "published"]
ByHead = Mapping[str, Metrics]  # decision head, or "answer" -> metrics
ByGroup = Mapping[str, ByHead]  # group -> head -> metrics

TIE_RULES = ("realistic", "optimistic", "pessimistic")


@dataclass(frozen=True)
class Ranks:
    """Filtered ranks [A] of true answers, by tie rule.

    ``optimistic`` (int64): one more than the candidates that score strictly higher.
    ``pessimistic`` (int64): the same and the other candidates that score exactly as high.
    ``realistic`` (float64): their mean, the expected rank when ties are in random order.
    """

    optimistic: Ints
    pessimistic: Ints

    @property
    def realistic(self) -> Floats:
        """The mean of the optimistic and the pessimistic rank."""
        return (self.optimistic + self.pessimistic) / 2.0


@dataclass(frozen=True)
class QueryRanks:
    """The rank of every single query, for significance tests and error analysis.

    ``facts`` [F, 3] (ids). ``ranks`` {head: Ranks [2F]}: first the tail query of every fact in
    order, then the head query of every fact; 0 for those that were left out
    (``Evaluation.candidates``).
    """

    facts: Ints
    ranks: Mapping[str, Ranks]

    def reciprocal(self, head: str = ANSWER) -> Floats:
        """Return 1 / realistic rank [2F]; NaN where a query was left out."""
        return 1.0 / self._ranked(head)

    def _ranked(self, head: str) -> Floats:
        """Realistic ranks [2F]; NaN where a query was left out."""
        ranks = self.ranks[head].realistic
        return np.where(ranks > 0, ranks, np.nan)

    def per_fact(self, metric: str, head: str = ANSWER) -> Floats:
        """The mean over the two queries of every fact [F], as hierarchical_bootstrap takes it;
        NaN where one of them was left out.

        Args:
            metric: ``mrr`` or ``hits@K``.
        """
        ranks = self._ranked(head)
        values = 1.0 / ranks
        if metric != "mrr":
            values = np.where(np.isnan(ranks), np.nan, ranks <= int(metric[5:]))
        mean: Floats = values.reshape(2, -1).mean(axis=0)
        return mean

    def to_arrays(self) -> dict[str, Ints]:
        """Return named arrays to save: "facts", "optimistic/HEAD" and "pessimistic/HEAD"."""
        arrays = {"facts": self.facts}
        for head, ranks in self.ranks.items():
            arrays[f"optimistic/{head}"] = ranks.optimistic
            arrays[f"pessimistic/{head}"] = ranks.pessimistic
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Ints]) -> QueryRanks:
        """Read what ``to_arrays`` gave; KeyError where one is missing."""
        heads = [name.partition("/")[2] for name in arrays if name.startswith("optimistic/")]
        ranks = {h: Ranks(arrays[f"optimistic/{h}"], arrays[f"pessimistic/{h}"]) for h in heads}
        return cls(facts=arrays["facts"], ranks=ranks)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What the answers of one side were ranked among, where it was not among all entities.

    Attributes:
        type: the type of the entities; None where they are a list.
        entities: how many there are.
        left_out: queries of this side that were not ranked, as their answer is none of these.
    """

    type: str | None
    entities: int
    left_out: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The filtered ranking metrics of a model on one split of a graph.

    Every grouping gives metrics for each decision head and for "answer", what the heads and the
    rules of the pool say together. All but ``by_tie_rule`` use realistic ranks. Counts are of
    queries: every fact has two, its tail (h, r, ?) on side "tail" and its head (t, r reversed, ?)
    on side "head".
    """

    format: Literal["momok-evaluation"] = "momok-evaluation"
    version: Literal[1] = 1
    split: Split
    protocol: Protocol  # "published": best of each metric over epochs, selected on test
    num_facts: int
    num_queries: int
    num_unseen_facts: int  # facts with an entity that train never shows
    by_tie_rule: ByGroup  # realistic, optimistic, pessimistic; under "published" the first alone
    by_side: ByGroup  # tail, head
    by_relation: ByGroup  # relation label
    by_relation_and_side: Mapping[str, ByGroup]  # side -> relation label
    by_cardinality: ByGroup  # 1-1, 1-N, N-1, N-N, undefined (no fact of the relation in train)
    by_cardinality_and_side: Mapping[str, ByGroup]  # side -> cardinality
    by_presence: Mapping[str, ByGroup]  # modality -> query_present, query_absent, answer_...
    by_seen: ByGroup  # seen, unseen
    candidates: Mapping[str, Candidates] = field(default_factory=dict)  # tail, head -> if not all
    # Not in JSON.
    query_ranks: InstanceOf[QueryRanks] | None = field(default=None, compare=False, repr=False)

    @property
    def overall(self) -> ByHead:
        """The headline: realistic ranks of all queries, by head; the model's is "answer"."""
        return self.by_tie_rule["realistic"]

    def with_overall(self, overall: ByHead) -> Evaluation:
        """The same with another headline: under "published" it is put together from epochs.

        Those were ranked by one tie rule alone, so there are no others beside it.
        """
        return replace(self, by_tie_rule={"realistic": overall})

    @property
    def heads(self) -> tuple[str, ...]:
        """The decision heads in the model's order, then "answer"."""
        return tuple(self.overall)

    def __repr__(self) -> str:
        metrics = self.overall[ANSWER]
        hits = ", ".join(f"Hits@{k} {_format(metrics.hits[k])}" for k in (1, 3, 10))
        among = ", not among all entities" if self.candidates else ""
        return (
            f"<Evaluation of {self.split} ({self.protocol} protocol{among}): "
            f"{self.num_facts:,} facts, MRR {_format(metrics.mrr)}, {hits}>"
        )

    def _repr_html_(self) -> str:
        rows = [
            (head, m.mrr, *(m.hits[k] for k in HITS_AT), m.mean_rank)
            for head, m in self.overall.items()
        ]
        notes = [f"{self.num_queries:,} queries, filtered, realistic ranks"]
        if self.num_unseen_facts:
            notes.append(f"{self.num_unseen_facts:,} facts have an entity that train never shows")
        protocol, published = [self.describe_protocol()], self.protocol == "published"
        return render_table(
            f"{self.split}: {self.num_facts:,} facts, {self.protocol} protocol",
            rows,
            header=("head", "MRR", *(f"Hits@{k}" for k in HITS_AT), "mean rank"),
            notes=notes if published else notes + protocol,
            warnings=[*self.describe_candidates(), *(protocol if published else ())],
        )

    def describe_candidates(self) -> list[str]:
        """Say in a sentence for each side what answers were ranked among; nothing where it was all.

        Such numbers cannot be compared with those of an evaluation among all entities.
        """
        said = []
        for side, among in self.candidates.items():
            kind = "a list" if among.type is None else f"the type {among.type!r}"
            count = "1 entity" if among.entities == 1 else f"{among.entities:,} entities"
            text = f"{side}s were ranked among the {count} of {kind} alone"
            if among.left_out:
                text += (
                    f"; {among.left_out:,} of {self.num_facts:,} questions were left out, as their "
                    "answer is none of these"
                )
            said.append(text)
        return said

    def describe_protocol(self) -> str:
        """Say in a sentence or two how the numbers came about."""
        if self.protocol == "published":
            return (
                "PUBLISHED PROTOCOL: chosen on test, the best of each metric kept apart over "
                "epochs. For comparison with published numbers only; no single model reaches it."
            )
        chosen = "tested once" if self.split == "test" else "which these facts chose"
        return f"clean protocol: one checkpoint, chosen on validation, {chosen}"

    def to_frame(self) -> pl.DataFrame:
        """Give all groupings as a tidy frame of polars: a row per group, value, side and head.

        Columns: ``group`` (all, ties, relation, cardinality, presence, seen), ``value`` (as the
        label of a relation; ``image: query_present`` of a modality), ``side`` (both, tail, head),
        ``head`` (a decision head, or answer), ``queries``, ``mrr``, ``mean_rank`` and ``hits@1``,
        ``hits@3``, ``hits@10``, ``hits@100``, which are null where a group has no query.
        """
        rows = [
            (group, value, side, head, m.count, m.mrr, m.mean_rank, *(m.hits[k] for k in HITS_AT))
            for group, side, by_value in self._list_groupings()
            for value, by_head in by_value.items()
            for head, m in by_head.items()
        ]
        texts = dict.fromkeys(("group", "value", "side", "head"), pl.String)
        shares = dict.fromkeys(("mrr", "mean_rank", *(f"hits@{k}" for k in HITS_AT)), pl.Float64)
        schema = pl.Schema({**texts, "queries": pl.Int64, **shares})
        return pl.DataFrame(rows, schema=schema, orient="row")

    def _list_groupings(self) -> Iterator[tuple[str, str, ByGroup]]:
        """Every grouping with its side, the headline first."""
        yield "all", "both", {"all": self.overall}
        for side, by_head in self.by_side.items():
            yield "all", side, {"all": by_head}
        yield "ties", "both", self.by_tie_rule
        yield "relation", "both", self.by_relation
        yield from (("relation", *pair) for pair in self.by_relation_and_side.items())
        yield "cardinality", "both", self.by_cardinality
        yield from (("cardinality", *pair) for pair in self.by_cardinality_and_side.items())
        for modality, groups in self.by_presence.items():
            yield "presence", "both", {f"{modality}: {value}": m for value, m in groups.items()}
        yield "seen", "both", self.by_seen

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types under stable keys; a value that does not exist is null."""
        plain: dict[str, Any] = to_jsonable_python(replace(self, query_ranks=None))
        del plain["query_ranks"]
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evaluation:
        """Read what to_json wrote (without query_ranks); RunError where it is something else."""
        try:
            return TypeAdapter(cls).validate_python({"format": None, "version": None, **value})
        except ValidationError as error:
            raise RunError(
                "not an evaluation of this version of momok, incomplete or damaged "
                f"({describe_problem(error.errors()[0])}): evaluate the run again"
            ) from error


def _format(share: float | None) -> str:
    return "–" if share is None else f"{share:.4f}"
