"""Remarks on standard error that several commands make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from momok.console import error_console, make_printable

if TYPE_CHECKING:
    from momok.prediction.calibration_record import Calibration


def say_if_not_calibrated(run: str, calibration: Calibration | None) -> None:
    """Say why there are no probabilities, which otherwise looks like an answer of another kind."""
    if calibration is None:
        error_console().print(
            f"{make_printable(run)} is not calibrated: there are scores and no probabilities; "
            f"momok calibrate {make_printable(run)} makes results/calibration.json",
            soft_wrap=True,
        )
