"""Plots and reports, made from a run folder alone."""

from momok.reporting.plots import draw_model_plots, draw_plots

__all__ = ["draw_model_plots", "draw_plots"]
