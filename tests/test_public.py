"""The public surface: what there is, what importing costs, which way imports point."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import momok
from momok import errors

ROOT = Path(__file__).parent.parent


def run_python(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_names_of_the_package() -> None:
    assert momok.__all__ == [
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
    assert dir(momok) == sorted(momok.__all__)
    for name in momok.__all__:
        value = getattr(momok, name)
        assert isinstance(value, str) or value.__doc__, name


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'momok' has no attribute 'trian'"):
        _ = momok.trian  # type: ignore[attr-defined]


def test_importing_costs_nothing() -> None:
    code = "import sys, momok; print(*[m for m in sys.modules if m.split('.')[0] in {}])"
    heavy = {"torch", "numpy", "rich", "pydantic", "safetensors", "matplotlib"}
    assert run_python(code.replace("{}", repr(heavy))) == ""


def test_reading_a_graph_needs_no_torch() -> None:
    code = "import sys, momok; momok.load_graph('world'); print('torch' in sys.modules)"
    assert run_python(code) == "False"


PUBLIC = sorted(
    f"momok.{'.'.join(path.relative_to(ROOT / 'src' / 'momok').with_suffix('').parts)}"
    for path in (ROOT / "src" / "momok").rglob("*.py")
    if path.name not in {"__init__.py", "__main__.py"}
)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_module_says_what_it_is(name) -> None:
    module = import_module(name)
    assert module.__doc__
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), public


def test_a_missing_extra_says_how_to_get_it() -> None:
    error = errors.MissingExtraError("tensorboard", "tensorboard", "training.tensorboard")
    assert str(error) == (
        "training.tensorboard needs tensorboard: pip install 'momok[tensorboard]'"
    )


def test_imports_point_one_way() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    pytest.importorskip("importlinter")
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout
