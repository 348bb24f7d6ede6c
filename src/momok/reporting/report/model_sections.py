"""The sections that need the model itself: experts, calibration, single predictions."""

from __future__ import annotations

from typing import Any

from momok.evaluation import ANSWER
from momok.prediction import Predictor, explain_model
from momok.prediction.calibration.record import (
    FACT,
    PLAUSIBLE_FACT,
    Calibration,
    Reliability,
    load_calibration,
)
from momok.reporting.experts import (
    choose_relations,
    draw_disentanglement,
    draw_experts,
    draw_modalities,
)
from momok.reporting.report.blocks import (
    Charts,
    Code,
    Column,
    Notice,
    Row,
    Section,
    Table,
    Text,
)
from momok.reporting.report.cases import find_cases
from momok.reporting.report.charts import draw_reliability
from momok.reporting.report.contents import RunContents
from momok.reporting.report.drawing import Drawer
from momok.reporting.report.metric_tables import head_cells
from momok.reporting.report.numbers import Number, clean_text, percent, point_to
from momok.reporting.report.pictures import find_pictures

__all__ = ["calibration_section", "experts_section", "predictions_section"]

_CALIBRATION_FILE = "results/calibration.json"
# The outputs beside the heads and the answer; they have no bins of best candidates.
_FACTS = {FACT: "a fact, both ways", PLAUSIBLE_FACT: "a plausible fact, both ways"}


def experts_section(contents: RunContents, predictor: Predictor, drawer: Drawer) -> Section:
    """Which expert serves which relation, what modalities weigh, how far experts differ."""
    explanation = explain_model(predictor)
    fonts, name = drawer.fonts, contents.graph_name
    *_, remark = choose_relations(explanation, fonts)
    shown = f" Shown: {remark}." if remark else ""
    experts = explanation.num_experts
    charts = [
        drawer.draw(
            lambda: draw_experts(explanation, fonts, name),
            "Experts by relation",
            f"Heat map: the average weight of each of {experts} experts per modality, by relation.",
            caption=f"Darker: the gate gives this expert more weight under the relation.{shown}",
            file="experts",
            wide=True,
        ),
        drawer.draw(
            lambda: draw_modalities(explanation, fonts, name),
            "Modalities by relation",
            "Stacked bars: the share of every modality in the answer and in the joint head, by "
            "relation.",
            file="modalities",
            wide=True,
        ),
        drawer.draw(
            lambda: draw_disentanglement(explanation, fonts, name),
            "How far the experts differ",
            "Matrices of CKA between the experts of each modality, and the CLUB estimate over "
            "training.",
            caption="CKA is 1 where two experts say the same; the value for random maps is what "
            "differing by chance alone would give.",
            file="disentanglement",
            wide=True,
        ),
    ]
    lead = (
        "Every modality has several experts; a gate weighs them by entity and relation. Averages "
        "over the train queries of a relation."
    )
    return Section(
        slug="experts",
        title="Experts and modalities",
        blocks=[Text(sentence=(lead,)), Charts(charts=charts)],
    )


def calibration_section(contents: RunContents, drawer: Drawer) -> Section | None:
    """How far probabilities can be trusted; None for a run that was not calibrated."""
    calibration = load_calibration(contents.run)
    if calibration is None or ANSWER not in calibration.outputs:
        return None
    answer = calibration.outputs[ANSWER]
    blocks: list[Any] = [
        Text(
            sentence=(
                "A probability is calibrated when, of the candidates that get 70%, 70% are true. "
                "The calibration was fitted on validation; here it is judged on test, without the "
                "facts of train and validation.",
            )
        )
    ]
    charts = []
    if answer.raw is not None and answer.calibrated is not None:
        raw, calibrated = answer.raw, answer.calibrated
        charts.append(
            drawer.draw(
                lambda: draw_reliability(raw.bins, calibrated.bins),
                "All candidates",
                _describe_reliability(raw, calibrated),
                caption="On the diagonal: as likely as said. Size of a point: how many candidates.",
                file="reliability",
            )
        )
        if raw.top_bins and calibrated.top_bins:
            charts.append(
                drawer.draw(
                    lambda: draw_reliability(raw.top_bins, calibrated.top_bins),
                    "The best candidate of every question",
                    _describe_reliability(raw, calibrated, top=True),
                    file="reliability-top",
                )
            )
    if charts:
        blocks.append(Charts(charts=charts))
    blocks.append(_calibration_table(calibration))
    return Section(slug="calibration", title="Calibration", blocks=blocks)


def predictions_section(contents: RunContents, predictor: Predictor, wanted: bool) -> Section:
    """Single test queries: the surest right, the surest wrong, the furthest off."""
    pictures = find_pictures(contents, wanted)
    groups = find_cases(contents, predictor, pictures)
    meaning = (
        "how often such an answer was a held-out fact, for a question that has one (calibrated)"
        if predictor.calibration is not None
        else "the model's own, not calibrated"
    )
    lead = (
        "Single test questions. Known facts are left out of the answers, as in the metrics; "
        f"probabilities are {meaning}."
    )
    blocks: list[Any] = [Text(sentence=(lead,)), *groups]
    if pictures.note and wanted:
        blocks.append(Text(sentence=(clean_text(pictures.note),)))
    if pictures.unreadable:
        words = f"{pictures.unreadable} picture files could not be read and are not shown."
        blocks.append(Notice(sentence=(words,)))
    return Section(slug="predictions", title="Single predictions", blocks=blocks)


def _describe_reliability(raw: Reliability, calibrated: Reliability, *, top: bool = False) -> str:
    before, after = (raw.ece_top, calibrated.ece_top) if top else (raw.ece, calibrated.ece)
    return (
        "Reliability diagram: the share of candidates that is true over their probability, raw and "
        f"calibrated. Expected calibration error {100 * (before or 0):.2g}% raw and "
        f"{100 * (after or 0):.2g}% calibrated."
    )


def _calibration_table(calibration: Calibration) -> Table:
    heads = tuple(name for name in calibration.outputs if name not in _FACTS)
    swatches = head_cells(heads)
    rows = []
    for name, output in calibration.outputs.items():

        def number(kind: str, field: str, name: str = name, output: Any = output) -> Number:
            reliability = getattr(output, kind)
            value = None if reliability is None else getattr(reliability, field)
            source = point_to(_CALIBRATION_FILE, "outputs", name, kind, field)
            if field == "log_loss" and value is not None:
                return Number(value=value, text=f"{value:.2f}", source=source)
            return percent(value, source)

        rows.append(
            Row(
                header=swatches[name] if name in swatches else _FACTS[name],
                cells=[
                    Code(text=output.map.method),
                    *(number(kind, "ece_shown") for kind in ("raw", "calibrated")),
                    *(number(kind, "ece_top") for kind in ("raw", "calibrated")),
                    *(number(kind, "log_loss") for kind in ("raw", "calibrated")),
                ],
                strong=name == ANSWER,
            )
        )
    return Table(
        caption="Calibration on test",
        columns=[
            Column(title="output", number=False),
            Column(title="method", number=False, note="of least log-loss on validation"),
            Column(title="ECE ≥ 1%, raw", note="over candidates of a probability of at least 1%"),
            Column(title="calibrated"),
            Column(title="ECE best, raw", note="over the best candidate of every question"),
            Column(title="calibrated"),
            Column(title="log-loss, raw"),
            Column(title="calibrated"),
        ],
        groups=[("", rows)],
        note="ECE, the expected calibration error, in percent; log-loss in nats per true "
        "candidate. Lower is better.",
    )
