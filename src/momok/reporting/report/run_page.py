"""The page of one run: what ``templates/run.html`` shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from momok.evaluation import ANSWER, hierarchical_bootstrap
from momok.prediction import Predictor, explain_model
from momok.prediction.calibration_record import load_calibration
from momok.progress import Progress
from momok.reporting.report import formatting as fmt
from momok.reporting.report.cases import find_cases
from momok.reporting.report.comparing import SEED
from momok.reporting.report.contents import RunContents
from momok.reporting.report.formatting import Cell, Notice, Value
from momok.reporting.report.page import embed_figures, find_pictures, render_page
from momok.reporting.report.run_parts import (
    GROUPS,
    MOST_RELATIONS,
    Relation,
    describe_environment,
    draw_model,
    draw_results,
    draw_training,
    list_groups,
    list_others,
    list_relations,
    list_setting_rows,
)
from momok.reporting.style import plot_style

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
_ENOUGH_QUERIES = 20  # of a relation, to call it weak or strong


def render_run(run: RunContents, plots: Path | None, pictures: bool, progress: Progress) -> bytes:
    """Render the page of a run."""
    relations = list_relations(run)
    with plot_style():
        progress("drawing training and results", 1, 4)
        charts = embed_figures((*draw_training(run), *draw_results(run)), run, plots)
        progress("reading the model", 2, 4)
        model: dict[str, Any] | None = None
        if run.run.best_checkpoint.is_file():
            predictor = Predictor(run.run)
            learned = draw_model(run, explain_model(predictor))
            charts |= embed_figures(learned, run, plots)
            model = {"pictures": (found := find_pictures(predictor, wanted=pictures))}
            model["cases"] = find_cases(run, predictor, found) if run.ranks is not None else []
    progress("writing the page", 3, 4)
    changed, unchanged = list_setting_rows(run)
    content = {
        "run": run,
        "charts": charts,
        "notices": list(list_notices(run)),
        "interval": compute_interval(run),
        "best_head": find_best_head(run),
        "extreme_relations": find_extremes(relations),
        "groups": list_groups(run.result, (*GROUPS, "by_presence")),
        "relations": relations,
        "most_relations": MOST_RELATIONS,
        "model": model,
        "calibration": load_outputs(run),
        "changed": changed,
        "unchanged": unchanged,
        "environment": describe_environment(run),
        "list_others": list_others,
        "name_others": lambda heads: [cell for head, cell in heads.items() if head != ANSWER],
    }
    subtitle: list[Cell] = [
        fmt.name(f"graph {run.graph_name}"),
        f"{run.data['split'].value} split",
        fmt.badge(run.state, "good" if run.state == "finished" else "warn"),
        f"preset {run.config.preset}",
        fmt.number(run.settings["seed"], lambda seed: f"seed {seed}"),
        run.created[:10],
    ]
    if run.published:
        subtitle.insert(0, fmt.badge("published protocol: selected on test", "bad"))
    return render_page("run.html", run.name, subtitle, content)


def load_outputs(run: RunContents) -> Value | None:
    """The calibrated outputs of a run by name, as its file has them; None without one."""
    if load_calibration(run.run) is None:  # and checks it
        return None
    file = "results/calibration.json"
    stored = json.loads((run.run.path / file).read_text(encoding="utf-8"))
    return Value(stored, f"{file}#")["outputs"]


def compute_interval(run: RunContents) -> tuple[float, float] | None:
    """The 95% bootstrap interval of the answer's MRR over the test facts."""
    if run.ranks is None or run.published:
        return None
    _, low, high, _ = hierarchical_bootstrap(run.ranks.per_fact("mrr")[None], seed=SEED)
    return low, high


def find_best_head(run: RunContents) -> str:
    """The decision head with the highest MRR, without the answer."""
    if run.evaluation is None:
        return ""
    mrr = {head: m.mrr or 0.0 for head, m in run.evaluation.overall.items() if head != ANSWER}
    return max(mrr, key=lambda head: mrr[head])


def find_extremes(relations: Sequence[Relation]) -> list[tuple[str, int, Value]]:
    """The strongest and the weakest relation among those with enough queries."""
    tested = [r for r in relations if r.heads[ANSWER]["count"].value >= _ENOUGH_QUERIES]
    tested.sort(key=lambda relation: relation.heads[ANSWER]["mrr"].value)
    chosen = [("Strongest", tested[-1]), ("Weakest", tested[0])] if len(tested) > 1 else []
    return [(word, relation.place, relation.heads[ANSWER]) for word, relation in chosen]


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
        yield fmt.write(
            "{} of the test facts ({}) have an entity that train never shows; on the others the "
            "MRR is {}.",
            fmt.count(result["num_unseen_facts"]),
            f"{share:.0%}",
            fmt.percent(result["by_seen"]["seen"][ANSWER]["mrr"]),
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
        yield fmt.write(text, fmt.signed(high - low))
    single = max(metrics.mrr or 0.0 for head, metrics in overall.items() if head != ANSWER)
    if (overall[ANSWER].mrr or 0.0) < single - _TELLING_GAP:
        yield "One head alone does better than the answer, the mean of all heads."
