"""Plots and reports, made from a run folder alone."""

from momok.reporting.report.run_parts import draw_plots

__all__ = ["draw_plots"]
