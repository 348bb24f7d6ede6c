"""Choosing and fitting calibration maps on validation, and judging them on test.

Every method is fitted five times, each time without one fold of the questions, and judged by its
log-loss on that fold; the method with the least total is fitted again on all of validation. Test is
looked at afterwards, for the report only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from momok.arrays import Floats
from momok.prediction.calibration.counts import (
    BIN_LOGITS,
    SEED,
    Counts,
    HeldOut,
    count_facts,
    count_questions,
)
from momok.prediction.calibration_maps import IDENTITY, METHODS, CalibrationMap, Method, fit_map
from momok.prediction.calibration_record import (
    BestAnswers,
    CalibratedOutput,
    Calibration,
    Reliability,
    ReliabilityBin,
)
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress
from momok.training import RunFolder

FOLDS = 5
# Borders of the reliability bins: fine where most candidates are, even where people look.
EDGES = (0.0, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
RESAMPLES = 2000  # of the questions, for intervals
SHOWN = 0.01  # the least probability that counts for ``ece_shown``


def calibrate_run(run: RunFolder | str | Path, *, progress: Progress = no_progress) -> Calibration:
    """Calibrate the chosen checkpoint of a run, write the result into its folder and give it."""
    scorer = Scorer(run, calibrated=False)
    valid = HeldOut.build(scorer.graph, "valid", FOLDS)
    test = HeldOut.build(scorer.graph, "test", 1)
    fitted, _ = count_questions(scorer, valid, progress)
    judged, judged_best = count_questions(scorer, test, progress)
    fitted |= count_facts(scorer, valid, progress=progress)
    judged |= count_facts(scorer, test, progress=progress)
    result = Calibration(
        outputs={
            name: _calibrate_output(counts, judged[name], judged_best.get(name))
            for name, counts in fitted.items()
        },
        about={
            "folds": FOLDS,
            "seed": SEED,
            "valid": {"facts": len(valid.truth.facts), "questions": len(valid.truth.keys)},
            "test": {"facts": len(test.truth.facts), "questions": len(test.truth.keys)},
        },
        run=scorer.run.identity,
        selected=scorer.selected,  # of the model that was looked at: the file may be newer
    )
    result.save(scorer.run)
    return result


def _calibrate_output(fit: Counts, test: Counts, best: Counts | None) -> CalibratedOutput:
    chosen, losses = choose_map(fit)
    raw = calibrated = None
    if test.true.any():
        top = None if best is None else best.merge()
        raw, calibrated = (compute_reliability(m, test.merge(), top) for m in (IDENTITY, chosen))
    return CalibratedOutput(map=chosen, choices=losses, raw=raw, calibrated=calibrated)


def choose_map(counts: Counts) -> tuple[CalibrationMap, dict[Method, float]]:
    """The map of the method with the least cross-fitted log-loss, and the log-losses.

    With fewer than two folds that have a true candidate nothing can be learned: identity.
    """
    true, false = counts.merge()
    if counts.true.any(axis=1).sum() < 2:
        return IDENTITY, {}
    losses = dict.fromkeys(METHODS, 0.0)
    for fold in range(len(counts.true)):
        # Summed, not subtracted from the whole: weighted counts would be rounded below zero.
        rest_true, rest_false = (
            np.delete(part, fold, axis=0).sum(axis=0) for part in (counts.true, counts.false)
        )
        for method in METHODS:
            fitted = fit_map(method, BIN_LOGITS, rest_true, rest_false)
            loss = compute_log_loss(fitted, counts.true[fold], counts.false[fold])
            losses[method] += loss / float(true.sum())
    best = min(METHODS, key=losses.__getitem__)
    return fit_map(best, BIN_LOGITS, true, false), losses


def compute_log_loss(calibration: CalibrationMap, true: Floats, false: Floats) -> float:
    """Negative log-likelihood of all candidates, in nats."""
    p = calibration.apply_to_logits(BIN_LOGITS)  # never exactly 0 or 1
    return -float(true @ np.log(p) + false @ np.log1p(-p))


def compute_reliability(
    calibration: CalibrationMap,
    candidates: tuple[Floats, Floats],
    best: tuple[Floats, Floats] | None = None,
) -> Reliability:
    """How well calibrated probabilities agree with what was true.

    ``candidates`` are (true [n], false [n]) by bin, ``best`` those best in their question.
    """
    bins = _fill_bins(calibration, *candidates)
    top = _fill_bins(calibration, *best) if best is not None else ()
    shown = [each for each in bins if each.low >= SHOWN]
    return Reliability(
        log_loss=compute_log_loss(calibration, *candidates) / float(candidates[0].sum()),
        ece=_compute_ece(bins),
        ece_shown=_compute_ece(shown),
        ece_top=None if best is None else _compute_ece(top),
        top=None if best is None else _summarise(top),
        bins=bins,
        top_bins=top,
    )


def _fill_bins(
    calibration: CalibrationMap, true: Floats, false: Floats
) -> tuple[ReliabilityBin, ...]:
    """The bins that have a candidate."""
    p = calibration.apply_to_logits(BIN_LOGITS)
    count = true + false
    place = np.clip(np.searchsorted(EDGES, p, side="right") - 1, 0, len(EDGES) - 2)

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(place, values, len(EDGES) - 1), dtype=np.float64)

    counts, sums, trues = total(count), total(count * p), total(true)
    used = counts.nonzero()[0]
    rates = (sums[used] / counts[used]).tolist(), (trues[used] / counts[used]).tolist()
    edges = [EDGES[b] for b in used], [EDGES[b + 1] for b in used]
    return tuple(map(ReliabilityBin, *edges, counts[used].tolist(), *rates))


def _summarise(bins: Sequence[ReliabilityBin]) -> BestAnswers:
    """The best candidates in numbers; a resample draws as many questions of these bins."""
    counts, predicted, observed = np.array([(b.count, b.predicted, b.observed) for b in bins]).T
    total = counts.sum()
    shares = np.concatenate([observed, 1 - observed]) * np.tile(counts, 2) / total
    drawn = np.random.default_rng(SEED).multinomial(int(total), shares, RESAMPLES)
    true, false = np.split(drawn, 2, axis=1)
    errors = np.abs((true + false) * predicted - true).sum(axis=1) / total

    def span(values: Floats) -> tuple[float, float]:
        low, high = np.quantile(values, [0.025, 0.975]).tolist()
        return low, high

    return BestAnswers(
        count=float(total),
        predicted=float(counts @ predicted / total),
        observed=float(counts @ observed / total),
        observed_interval=span(true.sum(axis=1) / total),
        ece_interval=span(errors),
    )


def _compute_ece(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error: Naeini et al. 2015, as in Guo et al. 2017, equation 3."""
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.predicted - each.observed) / total for each in bins)
