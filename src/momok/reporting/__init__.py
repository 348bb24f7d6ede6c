"""Plots and reports, made from a run folder alone."""
