"""Multi-modal knowledge graph completion.

>>> import momok
>>> graph = momok.load_graph("world")
>>> run = momok.train(graph, epochs=20)
>>> predictor = momok.Predictor(run)
>>> predictor.predict(head="France", relation="borders", k=5)

Everything is imported when it is first used: ``import momok`` costs nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from momok.config import resolve_config
    from momok.evaluation import evaluate
    from momok.graph import MultimodalGraph, graph_from_frames, load_graph
    from momok.model import MoMoK
    from momok.prediction import Predictor
    from momok.settings import RunConfig
    from momok.sharing import save_pretrained
    from momok.studies import study
    from momok.training import RunFolder, resume, train

# Intel's MKL, which PyTorch multiplies with, else takes other paths by where memory happens to lie,
# on some processors: the same run would not give the same bits. Read when it multiplies first.
os.environ.setdefault("MKL_CBWR", "AUTO")

__version__ = "0.2.0"

_PLACES = {
    "MoMoK": "momok.model",
    "MultimodalGraph": "momok.graph",
    "Predictor": "momok.prediction",
    "RunConfig": "momok.settings",
    "RunFolder": "momok.training",
    "evaluate": "momok.evaluation",
    "graph_from_frames": "momok.graph",
    "load_graph": "momok.graph",
    "resolve_config": "momok.config",
    "resume": "momok.training",
    "save_pretrained": "momok.sharing",
    "study": "momok.studies",
    "train": "momok.training",
}

__all__ = [
    "MoMoK",
    "MultimodalGraph",
    "Predictor",
    "RunConfig",
    "RunFolder",
    "__version__",
    "evaluate",
    "graph_from_frames",
    "load_graph",
    "resolve_config",
    "resume",
    "save_pretrained",
    "study",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'momok' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
