"""What a reader must know beside the numbers of a page: warnings, each (text, tone)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from momok.evaluation import ANSWER
from momok.reporting.report.comparing import Difference, Group
from momok.reporting.report.contents import RunContents
from momok.reporting.report.formatting import (
    Cell,
    count,
    list_in_words,
    name,
    percent,
    signed,
    write,
)

_SMALL_TEST = 500  # queries
_TELLING_TIES = 0.001  # of MRR
_TELLING_GAP = 0.002  # of MRR, of the answer below a single head
_MANY_UNSEEN = 0.05  # of the test facts
_LOW_COVERAGE = 0.5  # of the entities with features
_STATES = {
    "training": "This run is under way, or was killed",
    "interrupted": "This run was interrupted",
    "trained": "This run is trained and not tested yet",
    "finished": "This run is finished, and its test result is gone",
}

Notice = tuple[Cell, str]
"""A text and its tone: plain, warn, or bad, which casts doubt on the numbers."""


def list_notices(run: RunContents) -> Iterator[Notice]:
    """The notices of one run."""
    if run.published:
        yield (
            "Published protocol: the checkpoint was chosen on test and the best of each metric "
            "kept apart. For comparison with published numbers only; no model reaches them.",
            "bad",
        )
    if run.evaluation is None:
        yield _describe_state(run), "warn"
    for text in run.missing:
        yield f"{text[0].upper()}{text[1:]}.", "warn"
    if run.evaluation is not None:
        for notice in _check_result(run):
            yield notice, "warn"
    last = run.epochs[-1].value["epoch"] if run.epochs else 0
    if run.state == "finished" and run.chosen_epoch == last == run.config.training.epochs:
        text = f"The best validation is the last one (epoch {last}): more epochs may help "
        yield f"{text}(training.epochs).", "warn"
    entities = run.data["entities"].value
    for modality, features in run.data.value.get("features", {}).items():
        present = features["present"]
        if present < _LOW_COVERAGE * entities:
            yield f"Only {present:,} of {entities:,} entities have {modality} features.", "plain"


def _describe_state(run: RunContents) -> str:
    done = f"{_STATES.get(run.state, run.state)}: {len(run.epochs)} of at most "
    done += f"{run.config.training.epochs} epochs are done. "
    if run.chosen is None:
        return f"{done}There was no validation yet, so nothing can be said of its quality."
    kind, what = ("test", "honest") if run.published else ("validation", "test")
    return (
        f"{done}These are {kind} numbers of epoch {run.chosen_epoch}, the best so far; they chose "
        f"the checkpoint and are no {what} result."
    )


def _check_result(run: RunContents) -> Iterator[Cell]:
    evaluation, result = run.evaluation, run.result
    assert evaluation is not None
    share = evaluation.num_unseen_facts / max(evaluation.num_facts, 1)
    if share >= _MANY_UNSEEN:
        yield write(
            "{} of the test facts ({}) have an entity that train never shows; on the others the "
            "MRR is {}.",
            count(result["num_unseen_facts"]),
            f"{share:.0%}",
            percent(result["by_seen"]["seen"][ANSWER]["mrr"]),
        )
    if evaluation.num_queries < _SMALL_TEST:
        yield f"The test split is small ({evaluation.num_queries:,} queries): wide intervals."
    overall = evaluation.overall
    high, low = (
        evaluation.by_tie_rule.get(rule, overall)[ANSWER].mrr or 0.0
        for rule in ("optimistic", "pessimistic")
    )
    if high - low > _TELLING_TIES:
        text = "Many candidates tie: between the tie rules the MRR differs by {} points."
        yield write(text, signed(high - low))
    single = max(metrics.mrr or 0.0 for head, metrics in overall.items() if head != ANSWER)
    if (overall[ANSWER].mrr or 0.0) < single - _TELLING_GAP:
        yield "One head alone does better than the answer, the mean of all heads."


def list_comparison_notices(
    runs: Sequence[RunContents],
    groups: Sequence[Group],
    units: Sequence[Group],
    differences: Sequence[Difference],
) -> Iterator[Notice]:
    """The notices of several runs.

    Args:
        runs: all of them.
        groups: the runs by their settings.
        units: what is compared: the groups, or single runs where all have the same settings.
        differences: of the units to the first.
    """
    protocols = {run.published for run in runs}
    if protocols == {True, False}:
        names = list_in_words(run.name for run in runs if run.published)
        yield (
            f"Not comparable: {names} used the published protocol (selected on test, best of each "
            "metric apart), the others did not. No differences are given across the two.",
            "bad",
        )
    elif protocols == {True}:
        text = "Published protocol: all numbers were selected on test. For comparison only."
        yield text, "bad"
    for run in runs:
        for missing in run.missing:
            yield write("{}: {}.", name(run.name), missing), "warn"
    if len(groups) > 1 and any(len(group.tested) == 1 for group in groups):
        text = "Some settings have one run only: how far results spread over seeds is not known "
        yield f"{text}for them.", "warn"
    for group in groups:
        seeds = Counter(run.config.seed for run in group.runs)
        twice = [seed for seed, times in seeds.items() if times > 1]
        if twice:
            text = f"Seed {list_in_words(twice)} is there more than once with the same settings: "
            yield f"{text}the standard deviation is too small.", "warn"
    if len({run.data["fingerprint"].value for run in runs}) > 1:
        yield "The runs share all facts, but not the features of the entities.", "plain"
    if len(differences) < len(units) - 1 and len(protocols) == 1:
        yield "Runs without the ranks of single queries have no intervals.", "plain"
