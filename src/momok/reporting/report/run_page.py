"""The page of one run: what ``templates/run.html`` shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from momok.evaluation import (
    ANSWER,
    Metrics,
    paired_bootstrap,
)
from momok.prediction import Predictor, explain_model
from momok.prediction.calibration.record import load_calibration
from momok.progress import Progress
from momok.reporting.plots import draw_curves, draw_heads
from momok.reporting.relation_plots import (
    draw_disentanglement,
    draw_experts,
    draw_groups,
    draw_modalities,
    draw_relations,
)
from momok.reporting.report.cases import find_cases
from momok.reporting.report.comparing import SAMPLES, SEED
from momok.reporting.report.contents import RunContents
from momok.reporting.report.formatting import (
    Cell,
    Value,
    badge,
    name,
    number,
)
from momok.reporting.report.notices import list_notices
from momok.reporting.report.page import Charts, render_page
from momok.reporting.report.pictures import find_pictures
from momok.reporting.report.plots import (
    draw_epoch_times,
    draw_ranks,
    draw_reliability,
    draw_sizes,
)
from momok.reporting.report.run_tables import (
    GROUPS,
    MOST_RELATIONS,
    Relation,
    describe_environment,
    list_groups,
    list_others,
    list_relations,
    list_setting_rows,
)
from momok.reporting.style import fit_text, plot_style

_LONGEST_GROUP_NAME = 34
_ENOUGH_QUERIES = 20  # of a relation, to call it weak or strong


def render_run(run: RunContents, plots: Path | None, pictures: bool, progress: Progress) -> bytes:
    """Render the page of a run.

    Args:
        run: what its folder has.
        plots: the folder to save the figures in, or None.
        pictures: whether pictures of entities are shown.
        progress: is told what is being done.
    """
    relations = list_relations(run)
    groups = list_groups(run.result, (*GROUPS, "by_presence"))
    logged = [key for record in run.epochs[:1] for key in record.value]
    with plot_style([run.graph_name, *run.graph.relation_names, *logged]):
        charts = Charts(plots, f"{fit_text(run.graph_name, 24)}, {run.describe_test()}")
        progress("drawing what training did", 1, 5)
        _draw_training(run, charts)
        progress("drawing the results", 2, 5)
        _draw_results(run, relations, charts)
        progress("reading the model", 3, 5)
        model = _read_model(run, charts, pictures)
    progress("writing the page", 4, 5)
    changed, unchanged = list_setting_rows(run)
    content = {
        "run": run,
        "charts": charts,
        "notices": list(list_notices(run)),
        "interval": compute_interval(run),
        "best_head": find_best_head(run),
        "extreme_relations": find_extremes(relations),
        "groups": groups,
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
        name(f"graph {run.graph_name}"),
        f"{run.data['split'].value} split",
        badge(run.state, "good" if run.state == "finished" else "warn"),
        f"preset {run.config.preset}",
        number(run.settings["seed"], lambda seed: f"seed {seed}"),
        run.created[:10],
    ]
    if run.published:
        subtitle.insert(0, badge("published protocol: selected on test", "bad"))
    return render_page("run.html", run.name, subtitle, content)


def _draw_training(run: RunContents, charts: Charts) -> None:
    if run.epochs:
        epochs, validations = ([r.value for r in rs] for rs in (run.epochs, run.validations))
        charts.add("curves", draw_curves(epochs, validations, published=run.published))
    if len(run.epoch_seconds) > 1:
        charts.add("times", draw_epoch_times(run.epoch_seconds))


def _draw_results(run: RunContents, relations: Sequence[Relation], charts: Charts) -> None:
    evaluation, graph = run.evaluation, run.graph
    if evaluation is None:
        return
    charts.add("heads", draw_heads(evaluation))
    if run.ranks is not None:
        charts.add("ranks", draw_ranks(run.ranks, graph.num_entities))
    for file, fields in (
        ("groups", ("by_side", "by_cardinality")),
        ("presence", ("by_seen", "by_presence")),
    ):
        groups = [
            (fit_text(title, 60), [_fit_group(*member) for member in members])
            for title, members in list_groups(run.result, fields)
        ]
        if any(len(members) > 1 for _, members in groups):
            charts.add(file, draw_groups(groups))
    charts.add(
        "relations", draw_relations(evaluation, graph.relations.labels, graph.relation_names)
    )
    answers = [
        (each.train_facts, Metrics.from_json(each.heads[ANSWER].value)) for each in relations
    ]
    charts.add("sizes", draw_sizes(answers))


def _fit_group(words: str, heads: Value) -> tuple[str, Mapping[str, Metrics]]:
    metrics = {head: Metrics.from_json(found.value) for head, found in heads.items()}
    return f"{fit_text(words, _LONGEST_GROUP_NAME)}  ({metrics[ANSWER].count:,})", metrics


def _read_model(run: RunContents, charts: Charts, pictures: bool) -> dict[str, Any] | None:
    """Draw what the checkpoint has learned, and find single predictions with pictures."""
    if not run.run.best_checkpoint.is_file():
        return None
    predictor = Predictor(run.run)
    explanation = explain_model(predictor)
    charts.add("experts", draw_experts(explanation))
    charts.add("modalities", draw_modalities(explanation))
    charts.add("disentanglement", draw_disentanglement(explanation))
    calibration = load_calibration(run.run)
    answer = calibration.outputs.get(ANSWER) if calibration else None
    if answer and answer.raw and answer.calibrated:
        charts.add("reliability", draw_reliability(answer.raw.bins, answer.calibrated.bins))
        if answer.raw.top_bins and answer.calibrated.top_bins:
            figure = draw_reliability(answer.raw.top_bins, answer.calibrated.top_bins)
            charts.add("reliability-top", figure)
    found = find_pictures(run, wanted=pictures)
    cases = find_cases(run, predictor, found) if run.ranks is not None else []
    return {"cases": cases, "pictures": found}


def load_outputs(run: RunContents) -> Value | None:
    """The calibrated outputs of a run by name, as its file has them; None without one."""
    if load_calibration(run.run) is None:  # and checks it
        return None
    file = "results/calibration.json"
    stored = json.loads((run.run.path / file).read_text(encoding="utf-8"))
    return Value(stored, f"{file}#")["outputs"]


def compute_interval(run: RunContents) -> tuple[float, float] | None:
    """The 95% bootstrap interval of the answer's MRR over the test queries."""
    if run.ranks is None or run.published:
        return None
    values = run.ranks.reciprocal()
    _, low, high = paired_bootstrap(values, np.zeros_like(values), seed=SEED, samples=SAMPLES)
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
