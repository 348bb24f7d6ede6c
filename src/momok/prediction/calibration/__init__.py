"""Probabilities that mean what they say, fitted on validation."""
