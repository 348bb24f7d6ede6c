"""What is measured, against what; each file runs as ``python -m benchmarks.NAME``."""
