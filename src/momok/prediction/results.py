"""What a prediction says: plain values, by label and by name, ready for people and for JSON.

Shapes: B questions, k answers each, H heads, M modalities, K experts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from momok.arrays import Floats, Ints
from momok.evaluation.pool import RULES
from momok.graph import SPLIT_NAMES, MultimodalGraph, SplitName
from momok.graph.fact_index import UNKNOWN
from momok.html import Share, render_table
from momok.prediction.questions import Question
from momok.prediction.shares import leading_expert

_NO_ANSWERS = "No answers: every candidate is a known fact, or not plausible where that is asked."
_PROBABILITY = "prob.: how often such an answer was a held-out fact, for a question that has one"


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One answer to a question.

    Attributes:
        rank: from 1.
        label: the entity's label, its key in the graph.
        name: its display name.
        title: the name, with the label where other entities share the name.
        score: the answer of the model, which joins ``heads``: 0 to 1, not calibrated.
        probability: the calibrated score: how often such an answer was a held-out fact, for
            questions that have one (``momok.prediction.calibration``); None in a run that is not
            calibrated.
        known: the split that has this fact already, or None.
        heads: the probability that every decision head gives, not calibrated.
        head_probabilities: the same, calibrated each by its own map; None as above.
        shares: the part of every modality in the score; they sum to one (see
            ``momok.prediction.shares`` for how they are computed).
        present: whether the entity has features of the modality; without them its vector there
            was learned from facts alone, or stands for "nothing known".
    """

    rank: int
    label: str
    name: str
    title: str
    score: float
    known: SplitName | None
    heads: dict[str, float]
    shares: dict[str, float]
    present: dict[str, bool]
    probability: float | None = None
    head_probabilities: dict[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The plain form, without ``title``."""
        plain = asdict(self)
        del plain["title"]
        return plain


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The best answers to B questions, as arrays; rows are filled up with id -1 at the end.

    Attributes:
        ids: [B, k].
        scores: [B, k].
        known: [B, k] positions in ``SPLIT_NAMES``, or ``UNKNOWN``.
        heads: per head [B, k].
        shares: [B, k, M].
        gates: per modality [B, K], of the query.
        present: per modality [N].
        probabilities: [B, k] calibrated scores; None without a calibration.
        head_probabilities: per head [B, k], likewise.
    """

    ids: Ints
    scores: Floats
    known: Ints
    heads: dict[str, Floats]
    shares: Floats
    gates: dict[str, Floats]
    present: Mapping[str, NDArray[np.bool_]]
    probabilities: Floats | None = None
    head_probabilities: dict[str, Floats] | None = None


class Predictions(list[Prediction]):
    """The answers to one question, best first.

    Attributes:
        question: what was asked.
        experts: per modality, the weight of each of its K experts in the query's vector under
            this relation; the largest is the leading expert. They sum to one.
        query_present: whether the entity asked about has features of the modality.
    """

    def __init__(
        self,
        graph: MultimodalGraph,
        question: Question,
        answers: Answers,
        row: int,
        query_present: dict[str, bool],
    ) -> None:
        count = int((answers.ids[row] >= 0).sum())
        super().__init__(_build_prediction(graph, answers, row, place) for place in range(count))
        self._heads = tuple(answers.heads)
        self.question, self.query_present = question, query_present
        self.experts: dict[str, list[float]] = {
            name: gate[row].tolist() for name, gate in answers.gates.items()
        }

    def __repr__(self) -> str:
        best = ", ".join(f"{p.name} {p.score:.3f}" for p in self[:3])
        return f"<Predictions {self.question}: {best}{', ...' if len(self) > 3 else ''}>"

    def _repr_html_(self) -> str:
        calibrated = any(p.probability is not None for p in self)
        rows = [
            (
                *(p.rank, p.title, p.score),
                *([p.probability] if calibrated else []),
                *(Share(share, p.present[part]) for part, share in p.shares.items()),
                f"✓ {p.known}" if p.known else "",
            )
            for p in self
        ]
        numbers = ("score", "prob.") if calibrated else ("score",)
        header = ("rank", self.question.asked, *numbers, *self.query_present, "known")
        return render_table(str(self.question), rows, header=header, notes=self.notes)

    @property
    def notes(self) -> list[str]:
        """How the answers are to be read as a table, a line each."""
        if not self:
            return [_NO_ANSWERS]
        rules = " and rules" if self.query_present.get(RULES) else ""
        notes = [
            f"score: what the heads {', '.join(self._heads)}{rules} say together; %: each part's "
            "share of it"
        ]
        if self[0].probability is not None:
            notes.append(_PROBABILITY)
        absent = {m for p in self for m, has in p.present.items() if not has}
        if absent:
            names = ", ".join(m for m in self.query_present if m in absent)
            notes.append(f"(%): the answer has no {names} of its own; its vector was learned")
        leading = [
            f"{modality} {leading_expert(gate) + 1} of {len(gate)} ({max(gate):.0%})"
            for modality, gate in self.experts.items()
            if len(gate) > 1
        ]
        if leading:
            notes.append(f"leading expert of the query: {', '.join(leading)}")
        return notes

    def to_frame(self) -> pl.DataFrame:
        """Give the answers as a frame of polars, a row each, with the columns of the CSV.

        Columns: ``rank``, ``label``, ``name``, ``score``, ``known``, ``head_*`` (the probability
        that every head gives), ``share_*`` (the part of every modality) and ``probability``, which
        is null in a run that is not calibrated.
        """
        heads = {f"head_{head}": [p.heads[head] for p in self] for head in self._heads}
        shares = {f"share_{x}": [p.shares[x] for p in self] for x in self.query_present}
        texts = dict.fromkeys(("label", "name", "known"), pl.String)
        columns: dict[str, list[Any]] = {
            **{
                x: [getattr(p, x) for p in self]
                for x in ("rank", "label", "name", "score", "known")
            },
            **heads,
            **shares,
            "probability": [p.probability for p in self],
        }
        numbers = dict.fromkeys(columns, pl.Float64) | {"rank": pl.Int64}
        return pl.DataFrame(columns, schema=pl.Schema({**numbers, **texts}))

    def to_json(self) -> dict[str, Any]:
        """The plain form."""
        return {
            "query": self.question.to_json()
            | {"present": self.query_present, "experts": self.experts},
            "predictions": [prediction.to_json() for prediction in self],
        }


def _build_prediction(graph: MultimodalGraph, answers: Answers, row: int, place: int) -> Prediction:
    cell = row, place
    entity, split = int(answers.ids[cell]), int(answers.known[cell])
    shares = answers.shares[cell].tolist()
    calibrated, by_head = answers.probabilities, answers.head_probabilities
    return Prediction(
        rank=place + 1,
        label=graph.entities.labels[entity],
        name=graph.entity_names[entity],
        title=graph.title(entity),
        score=float(answers.scores[cell]),
        known=None if split == UNKNOWN else SPLIT_NAMES[split],
        heads={head: float(values[cell]) for head, values in answers.heads.items()},
        shares=dict(zip(answers.present, shares, strict=True)),
        present={name: bool(values[entity]) for name, values in answers.present.items()},
        probability=None if calibrated is None else float(calibrated[cell]),
        head_probabilities=None
        if by_head is None
        else {head: float(values[cell]) for head, values in by_head.items()},
    )


@dataclass(frozen=True, kw_only=True)
class FactScores:
    """How likely the model finds given facts.

    Attributes:
        answer: [n] the answer of the model, which joins the heads.
        heads: per head [n] probabilities.
        probability: [n] the calibrated answer, for the question that was asked; None in a run that
            is not calibrated.
        head_probabilities: per head [n], likewise.
    """

    answer: Floats
    heads: dict[str, Floats]
    probability: Floats | None = None
    head_probabilities: dict[str, Floats] | None = None

    def __len__(self) -> int:
        return len(self.answer)
