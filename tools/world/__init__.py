"""Builds the bundled world graph from registry packages; `tools/build_world.py` is the entry."""

import sys
from pathlib import Path

# The flags are described by momok's own encoder; momok need not be installed for that.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
