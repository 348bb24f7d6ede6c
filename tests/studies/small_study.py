"""A study of the size of a test: two decoders on the made-up graph, two epochs each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from momok.progress import Reporter
from momok.studies import Plan, Study, study
from momok.studies.plan import build_plan
from tests.training.small_training import SETTINGS, build_graph

STRUCTURE = {"model.modalities": "structure", "model.heads": "modalities", "model.experts": 0}


def make_plan(**changes: Any) -> Plan:
    """Variants ``complex`` and ``distmult``, structure alone, and ``text`` with features."""
    small = SETTINGS | {"preset": "default", "model.members": 1, "training.epochs": 2}
    variants = {name: STRUCTURE | {"model.decoder": name} for name in ("complex", "distmult")}
    plan = {
        "name": "small",
        "settings": {k: v for k, v in small.items() if k != "model.experts"},
        "seeds": [0, 1],
        "variants": {name: {"settings": settings} for name, settings in variants.items()},
    }
    return build_plan(plan | changes)


def run_small(folder: Path, *, progress: bool | Reporter = False, **changes: Any) -> Study:
    """Run it."""
    test = changes.pop("test", True)
    return study(build_graph(), make_plan(**changes), out=folder, progress=progress, test=test)
