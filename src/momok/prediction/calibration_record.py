"""How sure the model really is: probabilities calibrated on the validation split.

The model's own numbers are sigmoids of scores that were trained against smoothed targets; they rank
well and mean little. Calibration maps each to the share of candidates with that number that turned
out to be true among held-out facts:

- for a decision head and for the ``answer`` (the mean over heads), of the candidates of all
  questions that validation facts answer, but known ones, and but the entity asked about where
  train has no fact of the relation between an entity and itself;
- of heads that a softmax trained, and of their answer, not the probability counts but its share of
  what known facts leave of the whole: five known answers leave little for a sure sixth;
- for ``fact`` (the lower of the answers to a fact's two questions, which ranks facts over the whole
  graph), of all facts (h, r, t) that are not in train, without (h, r, h) likewise;
- for ``plausible_fact``, of those facts whose head was a head of the relation in train and whose
  tail a tail of it.

Facts of test are treated as facts nobody knows: nothing of test enters the fit or the choice of the
method. docs/prediction.md says what such a probability means, and what it does not mean.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import TypeAdapter, ValidationError

from momok.arrays import Floats
from momok.config import describe_problem
from momok.errors import RunError
from momok.prediction.calibration_maps import CalibrationMap, Method
from momok.storage import parse_json, seal, unseal, write_json
from momok.training import RunFolder

# Names of the score of a fact in both directions, beside those of the heads and "answer".
FACT, PLAUSIBLE_FACT = "fact", "plausible_fact"
_FILE = "results/calibration.json"


@dataclass(frozen=True)
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
class BestAnswers:
    """How sure the best candidates of questions were, and how often they were right.

    Attributes:
        count: questions.
        predicted: the mean probability.
        observed: the share that is true.
        observed_interval: its 95% bootstrap interval over the questions.
        ece_interval: that of the expected calibration error.
    """

    count: float
    predicted: float
    observed: float
    observed_interval: tuple[float, float]
    ece_interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How well probabilities of one output agree with the test facts.

    Attributes:
        log_loss: negative log-likelihood of all candidates, in nats per true one.
        ece: expected calibration error over all candidates: the mean over bins, by their counts, of
            |predicted - observed|. Most candidates are in the lowest bins; the next one tells more.
        ece_shown: the same over candidates of a probability of at least 1 %.
        ece_top: the same over the best candidate of every question; None for facts.
        top: the best candidates in numbers; None for facts.
        bins: the reliability diagram.
        top_bins: that of the best candidates; empty for facts.
    """

    log_loss: float
    ece: float
    ece_shown: float
    ece_top: float | None
    top: BestAnswers | None
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
    choices: dict[Method, float]
    raw: Reliability | None
    calibrated: Reliability | None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The calibrated outputs of a run's chosen checkpoint.

    Attributes:
        outputs: by name: every head, ``answer``, ``fact`` and ``plausible_fact``.
        about: how it was fitted: counts of questions and candidates, folds, seed.
        selected: which checkpoint: what it says of how it was chosen.
        run: the identity of its run.
    """

    format: Literal["momok-calibration"] = "momok-calibration"
    version: Literal[3] = 3
    selected: Mapping[str, Any]
    run: str | None = None
    about: Mapping[str, Any]
    outputs: Mapping[str, CalibratedOutput]

    def apply(
        self, name: str, probabilities: ArrayLike, rest: Mapping[str, Floats] | None = None
    ) -> Floats:
        """Calibrate raw probabilities by the output's name; their order in a question is kept.

        Of one question a row, or a value, where ``rest`` is that of ``Scorer.find_rest``.
        """
        left = (rest or {}).get(name)
        if left is not None and np.ndim(probabilities) > left.ndim:
            left = left[:, None]
        return self.outputs[name].map.apply(probabilities, left)

    def to_json(self) -> dict[str, Any]:
        """The plain form."""
        return asdict(self)

    def save(self, run: RunFolder) -> Path:
        """Write it into the run folder, whole or not at all; gives the path."""
        path = run.path / _FILE
        write_json(path, seal(self.to_json()))
        return path


def load_calibration(
    run: RunFolder | str | Path, outputs: Collection[str] = ()
) -> Calibration | None:
    """The calibration that ``momok calibrate`` left in a run folder; None where there is none.

    Args:
        run: the run folder.
        outputs: names that it must have.

    Raises:
        RunError: it is damaged, of another version or run, or without an output, or there is no
            such run.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    path = folder.path / _FILE
    try:
        value = parse_json(path.read_bytes())
        calibration = TypeAdapter(Calibration).validate_python(unseal(value))
        if "checksum" not in value:
            raise RunError("it is not what was written")
        if calibration.run != folder.identity:
            raise RunError("it belongs to another run")
        if missing := [name for name in outputs if name not in calibration.outputs]:
            raise RunError(f"no output {', '.join(missing)}")
    except FileNotFoundError:
        return None
    except ValidationError as error:
        what = describe_problem(error.errors()[0])
    except (OSError, RunError, ValueError) as error:
        what = str(error)
    else:
        return calibration
    raise RunError(
        f"{path}: not a calibration ({what}); momok calibrate {folder.path} makes it again"
    )
