"""What a run comes to, in plain words: the first thing a reader sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from momok.evaluation import ANSWER, Evaluation, paired_bootstrap
from momok.reporting.report.blocks import Code, Notice, Part, Sentence, name_relation
from momok.reporting.report.contents import RunContents
from momok.reporting.report.numbers import (
    Number,
    clean_text,
    count,
    percent,
    point_to,
    rank,
    signed,
)

__all__ = ["SAMPLES", "Tile", "Verdict", "write_verdict"]

SAMPLES = 2000  # of the bootstrap
_SEED = 0
_ENOUGH_QUERIES = 20  # of a relation, to call it weak or strong
_NAMED = 3  # relations
_SMALL_TEST = 500  # queries
_TELLING_SIDES = 0.05  # of MRR: a difference between the sides worth a sentence
_TELLING_TIES = 0.001
_MANY_UNSEEN = 0.05  # of the test facts
_LOW_COVERAGE = 0.5  # of the entities with features


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A headline number."""

    name: str
    number: Number
    unit: str = ""
    note: Sentence = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Headline numbers, sentences and warnings."""

    tiles: Sequence[Tile]
    sentences: Sequence[Sentence]
    notices: Sequence[Notice]


def write_verdict(contents: RunContents) -> Verdict:
    """Say what a run comes to; one without a test result is judged by its best validation."""
    if contents.evaluation is None:
        tiles, sentences = _describe_unfinished(contents)
    else:
        tiles = _list_tiles(contents, contents.evaluation)
        sentences = list(_describe_result(contents, contents.evaluation))
    return Verdict(tiles=tiles, sentences=sentences, notices=list(_warn(contents)))


def compute_interval(contents: RunContents) -> tuple[float, float] | None:
    """The 95% bootstrap interval of the answer's MRR over the test queries."""
    if contents.ranks is None or contents.published:
        return None
    values = contents.ranks.reciprocal()
    _, low, high = paired_bootstrap(values, np.zeros_like(values), seed=_SEED, samples=SAMPLES)
    return low, high


def _list_tiles(contents: RunContents, evaluation: Evaluation) -> list[Tile]:
    answer = evaluation.overall[ANSWER]

    def point(*path: str | int) -> str:
        return point_to(contents.result_file, "by_tie_rule", "realistic", ANSWER, *path)

    interval = compute_interval(contents)
    note: Sentence = ()
    if interval is not None:
        note = ("95% interval ", percent(interval[0]), " to ", percent(interval[1]))
    tiles = [Tile(name="MRR", number=percent(answer.mrr, point("mrr")), unit="%", note=note)]
    words = {
        1: ("the right answer first",),
        3: ("among the first three",),
        10: ("among the first ten",),
    }
    tiles += [
        Tile(
            name=f"Hits@{k}",
            number=percent(answer.hits[k], point("hits", k)),
            unit="%",
            note=words[k],
        )
        for k in (1, 3, 10)
    ]
    size = count(contents.graph.num_entities, point_to("data.json", "entities"))
    mean = rank(answer.mean_rank, point("mean_rank"))
    return [*tiles, Tile(name="Mean rank", number=mean, note=("of ", size, " entities"))]


def _describe_result(contents: RunContents, evaluation: Evaluation) -> Iterator[Sentence]:
    file = contents.result_file
    path = ("by_tie_rule", "realistic", ANSWER)
    answer = evaluation.overall[ANSWER]
    yield (
        "Asked for the missing side of ",
        count(evaluation.num_facts, point_to(file, "num_facts")),
        " test facts, both ways, the model puts the right answer first in ",
        percent(answer.hits[1], point_to(file, *path, "hits", 1), digits=1),
        "% of the questions and among its first ten in ",
        percent(answer.hits[10], point_to(file, *path, "hits", 10), digits=1),
        "%.",
    )
    yield from _describe_heads(contents, evaluation)
    yield from _describe_relations(contents, evaluation)
    sides = {side: heads[ANSWER].mrr or 0.0 for side, heads in evaluation.by_side.items()}
    if len(sides) == 2 and abs(sides["tail"] - sides["head"]) >= _TELLING_SIDES:
        harder, easier = sorted(sides, key=lambda side: sides[side])
        yield (
            f"{harder.capitalize()}s are harder to find than {easier}s: MRR ",
            *(
                part
                for side, before in ((harder, ""), (easier, " against "))
                for part in (
                    before,
                    percent(sides[side], point_to(file, "by_side", side, ANSWER, "mrr")),
                )
                if part != ""
            ),
            ".",
        )


def _describe_heads(contents: RunContents, evaluation: Evaluation) -> Iterator[Sentence]:
    single = {h: m.mrr or 0.0 for h, m in evaluation.overall.items() if h != ANSWER}
    best = max(single, key=lambda head: single[head])
    gain = (evaluation.overall[ANSWER].mrr or 0.0) - single[best]
    source = point_to(contents.result_file, "by_tie_rule", "realistic", best, "mrr")
    words: Sentence
    if gain >= 0:
        words = ("; the answer, the mean of all heads, is ", percent(gain), " points above it.")
    else:
        words = ("; the answer, the mean of all heads, is ", percent(-gain), " points below it.")
    yield (
        "The best single head is ",
        Code(text=clean_text(best)),
        " (MRR ",
        percent(single[best], source),
        ")",
        *words,
    )


def _describe_relations(contents: RunContents, evaluation: Evaluation) -> Iterator[Sentence]:
    """The weakest and the strongest relations among those with enough queries."""
    places = {label: place for place, label in enumerate(contents.graph.relations.labels)}
    rows = [
        (heads[ANSWER].mrr or 0.0, label)
        for label, heads in evaluation.by_relation.items()
        if heads[ANSWER].count >= _ENOUGH_QUERIES and label in places
    ]
    if len(rows) < 2:
        return
    rows.sort()
    named = min(_NAMED, len(rows) // 2)
    for words, chosen in (("Weakest", rows[:named]), ("Strongest", rows[: -named - 1 : -1])):
        parts: list[Part] = [f"{words} relation{'s' if named > 1 else ''}: "]
        for number, (mrr, label) in enumerate(chosen):
            source = point_to(contents.result_file, "by_relation", label, ANSWER, "mrr")
            parts += [", "] if number else []
            parts += [
                name_relation(contents.graph, places[label]),
                " (",
                percent(mrr, source, digits=1),
                ")",
            ]
        yield (*parts, f"; MRR, of relations with at least {_ENOUGH_QUERIES} queries.")


def _describe_unfinished(contents: RunContents) -> tuple[list[Tile], list[Sentence]]:
    done = len(contents.epochs)
    state = {
        "training": "This run is under way, or was killed",
        "interrupted": "This run was interrupted",
        "trained": "This run is trained and not tested yet",
        "finished": "This run is finished but not tested",
    }.get(contents.state, "This run is not finished")
    planned = Number(
        value=contents.config.training.epochs,
        text=str(contents.config.training.epochs),
        source=point_to("config.json", "training", "epochs"),
    )
    sentences: list[Sentence] = [(f"{state}: {done} of at most ", planned, " epochs are done.")]
    tiles: list[Tile] = []
    chosen = contents.chosen_validation
    if chosen is None:
        sentences.append(("There was no validation yet, so nothing can be said of its quality.",))
    else:
        line, record = chosen
        metrics = record["metrics"][ANSWER]
        where = (str(line), "metrics", ANSWER)
        for name, value, path in (
            ("MRR", metrics["mrr"], ("mrr",)),
            ("Hits@1", metrics["hits"]["1"], ("hits", "1")),
            ("Hits@10", metrics["hits"]["10"], ("hits", "10")),
        ):
            number = percent(value, point_to("metrics.jsonl", *where, *path))
            tiles.append(
                Tile(name=f"{name} on {contents.selection_split}", number=number, unit="%")
            )
        kind, what = ("validation", "test result")
        if contents.published:
            kind, what = ("test", "honest result")
        sentences.append(
            (
                f"These are {kind} numbers of epoch {record['epoch']}, the best so far; "
                f"they chose the checkpoint and are no {what}.",
            )
        )
    return tiles, sentences


def _warn(contents: RunContents) -> Iterator[Notice]:
    evaluation = contents.evaluation
    if contents.published:
        yield Notice(
            sentence=(
                "Published protocol: the checkpoint was chosen on test and the best of each metric "
                "kept apart. For comparison with published numbers only; no model reaches them.",
            ),
            tone="bad",
        )
    for words in contents.missing:
        yield Notice(sentence=(f"{words[0].upper()}{clean_text(words[1:])}.",))
    if evaluation is not None:
        yield from _warn_of_result(contents, evaluation)
    last = contents.epochs[-1][1]["epoch"] if contents.epochs else 0
    if (
        contents.state == "finished"
        and contents.chosen_epoch == last == contents.config.training.epochs
    ):
        yield Notice(
            sentence=(
                f"The best validation is the last one (epoch {last}): more epochs may help "
                "(training.epochs).",
            )
        )
    for modality, features in contents.data.get("features", {}).items():
        share = features["present"] / max(contents.data.get("entities", 0), 1)
        if share < _LOW_COVERAGE:
            yield Notice(
                sentence=(
                    f"Only {features['present']:,} of {contents.data['entities']:,} entities have "
                    f"{clean_text(modality)} features.",
                ),
                tone="plain",
            )


def _warn_of_result(contents: RunContents, evaluation: Evaluation) -> Iterator[Notice]:
    file = contents.result_file
    share = evaluation.num_unseen_facts / max(evaluation.num_facts, 1)
    if share >= _MANY_UNSEEN:
        yield Notice(
            sentence=(
                count(evaluation.num_unseen_facts, point_to(file, "num_unseen_facts")),
                f" of the test facts ({share:.0%}) have an entity that train never shows; on the "
                "others the MRR is ",
                percent(
                    evaluation.by_seen["seen"][ANSWER].mrr,
                    point_to(file, "by_seen", "seen", ANSWER, "mrr"),
                ),
                ".",
            )
        )
    if evaluation.num_queries < _SMALL_TEST:
        yield Notice(
            sentence=(
                f"The test split is small ({evaluation.num_queries:,} queries): wide intervals.",
            )
        )
    ties = [
        evaluation.by_tie_rule.get(rule, evaluation.overall)[ANSWER].mrr or 0.0
        for rule in ("optimistic", "pessimistic")
    ]
    if ties[0] - ties[1] > _TELLING_TIES:
        yield Notice(
            sentence=(
                "Many candidates tie: between the tie rules the MRR differs by ",
                signed(ties[0] - ties[1]),
                " points.",
            )
        )
    single = max(m.mrr or 0.0 for h, m in evaluation.overall.items() if h != ANSWER)
    if (evaluation.overall[ANSWER].mrr or 0.0) < single - 0.002:
        yield Notice(
            sentence=("One head alone does better than the answer, the mean of all heads.",)
        )
