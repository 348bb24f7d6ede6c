"""How sure the model really is: probabilities calibrated on the validation split.

The model's own numbers are sigmoids of scores that were trained against smoothed targets; they rank
well and mean little. Calibration maps each to the share of candidates with that number that turned
out to be true among held-out facts. What exactly is counted (``momok calibrate`` does it):

- For a decision head and for the ``answer`` (the mean over heads): take every question that
  validation facts answer, and all N candidates of it but the known train facts. A candidate is true
  if the fact is in validation. So the calibrated number is the *probability that a candidate with
  this score is a held-out fact, for a question that has at least one held-out answer*.
- For ``fact`` (the lower of the answers to a fact's two questions, which ranks facts over the whole
  graph): take all facts (h, r, t) that are not in train, whether or not anything is missing there.
  One is true if it is in validation. So it is the *probability that a fact which train does not
  have, with this score, is one of those held out*.
- For ``plausible_fact`` the same of facts whose head was a head of the relation in train, and whose
  tail a tail of it; of an entity with itself only where train has such facts.

Facts of test are treated as what they are when a model is used, facts nobody knows: they count as
not true. Nothing of test enters the fit or the choice of the method; the probabilities are a little
too low for it. The report on test leaves out the facts of train and validation.

Shapes: n candidates, bins as in ``momok.prediction.calibration.maps``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from momok.errors import RunError
from momok.prediction.calibration.maps import CalibrationMap, Method
from momok.storage import write_file
from momok.training import RunFolder

Floats: TypeAlias = NDArray[np.float64]

# Names of the score of a fact in both directions, beside those of the heads and "answer".
FACT, PLAUSIBLE_FACT = "fact", "plausible_fact"
_FORMAT = {"format": "momok-calibration", "version": 1}
_FILE = "results/calibration.json"


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Candidates of about the same probability.

    Attributes:
        low: the least probability of the bin.
        high: where the next one begins.
        count: how many candidates; of facts an estimate, from a sample of heads.
        predicted: their mean probability.
        observed: the share of them that is true.
    """

    low: float
    high: float
    count: float
    predicted: float
    observed: float


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How well probabilities of one output agree with the test facts.

    Attributes:
        log_loss: negative log-likelihood of all candidates, in nats per true one.
        ece: expected calibration error over all candidates: the mean over bins, by their counts, of
            |predicted - observed|. Most candidates are in the lowest bins; the next one tells more.
        ece_shown: the same over candidates of a probability of at least 1 %.
        ece_top: the same over the best candidate of every question; None for facts.
        bins: the reliability diagram.
        top_bins: that of the best candidates; empty for facts.
    """

    log_loss: float
    ece: float
    ece_shown: float
    ece_top: float | None
    bins: tuple[ReliabilityBin, ...]
    top_bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, kw_only=True)
class CalibratedOutput:
    """One calibrated number of the model.

    Attributes:
        map: from the raw to the calibrated probability.
        choices: log-loss of every method on validation, cross-fitted: each question is judged by
            maps fitted without its fold. The least one was chosen.
        raw: reliability of the raw probabilities on test; None without test facts.
        calibrated: that of the calibrated ones.
    """

    map: CalibrationMap
    choices: Mapping[Method, float]
    raw: Reliability | None
    calibrated: Reliability | None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The calibrated outputs of a run's chosen checkpoint.

    Attributes:
        outputs: by name: every head, ``answer``, ``fact`` and ``plausible_fact``.
        about: how it was fitted: counts of questions and candidates, folds, seed.
        selected: which checkpoint: what it says of how it was chosen.
    """

    outputs: Mapping[str, CalibratedOutput]
    about: Mapping[str, Any]
    selected: Mapping[str, Any]

    def apply(self, name: str, probabilities: ArrayLike) -> Floats:
        """Calibrate raw probabilities, of any shape, by the output's name; their order is kept."""
        return self.outputs[name].map.apply(probabilities)

    def check_outputs(self, names: Sequence[str], run: RunFolder) -> None:
        """Check that nothing is missing.

        Raises:
            RunError: an output is.
        """
        for name in names:
            if name not in self.outputs:
                raise RunError(
                    f"{run.path / _FILE}: has no output {name!r}; momok calibrate {run.path} makes "
                    "it again"
                )

    def to_json(self) -> dict[str, Any]:
        """The plain form."""
        return {**_FORMAT, **asdict(self)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Calibration:
        """Read the plain form.

        Raises:
            RunError: it is of another version, or has maps that are none of ours.
            Exception: KeyError, TypeError, ValueError or AttributeError where it is no such form.
        """
        found = {key: value.get(key) for key in _FORMAT}
        if found != _FORMAT:
            raise RunError(f"found {found}, expected {_FORMAT}")
        outputs = {
            name: CalibratedOutput(
                map=CalibrationMap.from_json(output["map"]),
                choices=dict(output["choices"]),
                raw=_read_reliability(output["raw"]),
                calibrated=_read_reliability(output["calibrated"]),
            )
            for name, output in value["outputs"].items()
        }
        return Calibration(
            outputs=outputs, about=dict(value["about"]), selected=dict(value["selected"])
        )

    def save(self, run: RunFolder) -> Path:
        """Write it into the run folder, whole or not at all; gives the path."""
        path = run.path / _FILE
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        write_file(path, text.encode() + b"\n")
        return path


def _read_reliability(value: Mapping[str, Any] | None) -> Reliability | None:
    if value is None:
        return None
    bins = {
        key: tuple(ReliabilityBin(**each) for each in value[key]) for key in ("bins", "top_bins")
    }
    return Reliability(**{**value, **bins})


def load_calibration(run: RunFolder | str | Path) -> Calibration | None:
    """The calibration that ``momok calibrate`` left in a run folder; None where there is none.

    Raises:
        RunError: it is damaged or of another version, or there is no such run.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    path = folder.path / _FILE
    try:
        return Calibration.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, RunError, ValueError, TypeError, AttributeError, KeyError) as error:
        what = error if isinstance(error, RunError) else f"{type(error).__name__}: {error}"
        raise RunError(
            f"{path}: not a calibration ({what}); momok calibrate {folder.path} makes it again"
        ) from error
