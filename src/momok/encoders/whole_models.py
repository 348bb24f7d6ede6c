"""Loading a pretrained model so that no weight of it is random."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from momok.errors import FeatureError

__all__ = ["load_whole", "quiet"]

_SHOWN = 3


def load_whole(auto_class: Any, folder: Path, *, unused: tuple[str, ...]) -> Any:
    """Load a model in evaluation mode from its safetensors; nothing is downloaded or executed.

    transformers fills weights that a file lacks with random numbers. Vectors made with those
    would be noise that differs from run to run, so it is an error here.

    Args:
        auto_class: the class of transformers to load with.
        folder: the model.
        unused: parts of names of weights that encoding does not use, which may lack.

    Raises:
        FeatureError: weights are missing.
    """
    with quiet():
        model, report = auto_class.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    missing = sorted(
        key for key in report["missing_keys"] if not any(part in key for part in unused)
    )
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise FeatureError(
            f"{folder}: its safetensors lack {len(missing)} weights "
            f"({', '.join(missing[:_SHOWN])}{more}), which would be random; "
            f"the files are incomplete or of another kind of model"
        )
    return model.float().eval()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's bars and reports about weights off the terminal while it loads."""
    reports: Any = import_module("transformers.utils.logging")
    bars, level = reports.is_progress_bar_enabled(), reports.get_verbosity()
    reports.disable_progress_bar()
    reports.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        reports.set_verbosity(level)
        if bars:
            reports.enable_progress_bar()
