"""Builds the bundled world graph from registry packages; `tools/build_world.py` is the entry."""
