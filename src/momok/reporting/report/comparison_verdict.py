"""What a comparison of runs comes to, in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from momok.evaluation import ANSWER
from momok.reporting.report.blocks import Label, Notice, Sentence
from momok.reporting.report.comparing import Difference, Group, read_metric, summarise
from momok.reporting.report.contents import RunContents
from momok.reporting.report.numbers import clean_text, list_in_words, percent, signed
from momok.reporting.report.verdict import Tile, Verdict

__all__ = ["write_comparison"]

_MOST_TILES = 6


def write_comparison(
    runs: Sequence[RunContents],
    groups: Sequence[Group],
    units: Sequence[Group],
    differences: Sequence[Difference],
) -> Verdict:
    """Say what a comparison comes to.

    Args:
        runs: all of them.
        groups: the runs by their settings.
        units: what is compared: the groups, or single runs where all have the same settings.
        differences: of the units to the first.
    """
    tested = [group for group in groups if group.tested]
    return Verdict(
        tiles=_list_tiles(tested),
        sentences=[
            *_describe_groups(tested),
            *(_describe_difference(each, units[0].name) for each in differences),
        ],
        notices=list(_warn(runs, groups, units, differences)),
    )


def _read_mrr(group: Group) -> list[float]:
    return [run.evaluation.overall[ANSWER].mrr or 0.0 for run in group.tested if run.evaluation]


def _list_tiles(groups: Sequence[Group]) -> list[Tile]:
    """The MRR of every group; of one group alone, more metrics."""
    if len(groups) != 1:
        return [_describe_tile(group, "MRR", f", {group.name}") for group in groups[:_MOST_TILES]]
    return [_describe_tile(groups[0], name) for name in ("MRR", "Hits@1", "Hits@3", "Hits@10")]


def _describe_tile(group: Group, metric: str, of: str = "") -> Tile:
    overall = [run.evaluation.overall[ANSWER] for run in group.tested if run.evaluation]
    mean, deviation = summarise([read_metric(each, metric) for each in overall])
    runs = f"{len(overall)} run{'s' if len(overall) > 1 else ''}"
    note: Sentence = (runs,) if deviation is None else ("± ", percent(deviation), f" over {runs}")
    return Tile(name=f"{metric}{of}", number=percent(mean), unit="%", note=note)


def _describe_groups(groups: Sequence[Group]) -> Iterator[Sentence]:
    for group in groups:
        values = _read_mrr(group)
        mean, deviation = summarise(values)
        if deviation is not None:
            seeds = list_in_words([str(run.config.seed) for run in group.tested])
            yield (
                *_name(group.name, len(groups) > 1),
                f"{len(values)} runs with seeds {seeds} reach an MRR of ",
                percent(mean),
                " ± ",
                percent(deviation),
                " on test (mean and standard deviation), from ",
                percent(min(values)),
                " to ",
                percent(max(values)),
                ".",
            )


def _name(name: str, needed: bool) -> Sentence:
    return (Label(text=name), ": ") if needed else ()


def _describe_difference(difference: Difference, reference: str) -> Sentence:
    value, low, high = difference.metrics["MRR"]
    if low > 0:
        end = "; the interval excludes 0: better beyond the choice of test facts."
    elif high < 0:
        end = "; the interval excludes 0: worse beyond the choice of test facts."
    else:
        end = "; the interval includes 0: these test facts cannot tell the two apart."
    return (
        Label(text=difference.name),
        " against ",
        Label(text=reference),
        ": ",
        signed(value),
        " points of MRR, 95% interval ",
        signed(low),
        " to ",
        signed(high),
        end,
    )


def _warn(
    runs: Sequence[RunContents],
    groups: Sequence[Group],
    units: Sequence[Group],
    differences: Sequence[Difference],
) -> Iterator[Notice]:
    protocols = {run.published for run in runs}
    if protocols == {True, False}:
        names = list_in_words([run.name for run in runs if run.published])
        yield Notice(
            sentence=(
                f"Not comparable: {names} used the published protocol (selected on test, best of "
                "each metric apart), the others did not. No differences are given across the two.",
            ),
            tone="bad",
        )
    elif protocols == {True}:
        words = "Published protocol: all numbers were selected on test. For comparison only."
        yield Notice(sentence=(words,), tone="bad")
    for run in runs:
        for words in run.missing:
            yield Notice(sentence=(Label(text=run.name), f": {clean_text(words)}."))
    if len(groups) > 1 and any(len(group.tested) == 1 for group in groups):
        yield Notice(
            sentence=(
                "Some settings have one run only: how far results spread over seeds is not known "
                "for them.",
            )
        )
    for group in groups:
        seeds = Counter(run.config.seed for run in group.runs)
        twice = [str(seed) for seed, times in seeds.items() if times > 1]
        if twice:
            words = f"Seed {list_in_words(twice)} is there more than once with the same settings: "
            yield Notice(sentence=(f"{words}the standard deviation is too small.",))
    if len({run.data["fingerprint"] for run in runs}) > 1:
        words = "The runs share all facts, but not the features of the entities."
        yield Notice(sentence=(words,), tone="plain")
    if len(differences) < len(units) - 1 and len(protocols) == 1:
        words = "Runs without the ranks of single queries have no intervals."
        yield Notice(sentence=(words,), tone="plain")
