"""Plots and reports, made from a run folder alone."""

from momok.reporting.report.figures import draw_plots

__all__ = ["draw_plots"]
