"""Pretrained models: found on this machine, downloaded only when asked, hashed, loaded whole."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from momok.encoders.encoder import EncoderContext, EncoderSpec
from momok.errors import ConfigError, FeatureError
from momok.extras import import_extra

# Weights only as safetensors: the others are pickles, or for other frameworks.
_WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", "*/config.json", "*/*.safetensors")
_UNWANTED = ("onnx/*", "openvino/*", "*.msgpack", "*.h5", "*.ot")
_MODEL_SUFFIXES = (".json", ".safetensors", ".txt", ".model")
_SHOWN = 3  # names of weights that are missing


def find_model(spec: EncoderSpec, context: EncoderContext, *, example: str) -> Path:
    """Find the folder of the model that a SPEC names.

    The target is a folder, or the name of a model on the Hugging Face hub, whose files are taken
    from the local cache; they are downloaded only when the user has allowed it.

    Raises:
        ConfigError: no model is named.
        FeatureError: it is not on this machine, the download failed, or it has no safetensors
            weights.
    """
    if not spec.target:
        raise ConfigError(
            f"encoder {spec.text!r}: which model? Give a folder or a name on the Hugging Face hub, "
            f"as in {spec.name}:{example}"
        )
    folder = Path(spec.target).expanduser()
    if not folder.is_dir():
        folder = _find_on_hub(spec, context)
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise FeatureError(f"{folder}: is no model: neither config.json nor modules.json is in it")
    if not any(folder.rglob("*.safetensors")):
        raise FeatureError(
            f"{folder}: has no weights in safetensors; weights in other files (pytorch_model.bin) "
            f"are pickles, which can run code and are not opened: save the model again with "
            f"save_pretrained(folder, safe_serialization=True)"
        )
    return folder


def name_model(spec: EncoderSpec) -> str:
    """Name a model as others would: on the hub in full, in a folder by the folder's name."""
    folder = Path(spec.target).expanduser()
    return folder.resolve().name if folder.is_dir() else spec.target


def _find_on_hub(spec: EncoderSpec, context: EncoderContext) -> Path:
    hub = import_extra(
        "huggingface_hub", "text", f"encoder {spec.text!r}", package="huggingface-hub"
    )
    try:
        found = hub.snapshot_download(
            spec.target,
            local_files_only=not context.allow_download,
            allow_patterns=list(_WANTED),
            ignore_patterns=list(_UNWANTED),
        )
    except Exception as error:
        if context.allow_download:
            raise FeatureError(
                f"encoder {spec.text!r}: {spec.target!r} could not be downloaded from the Hugging "
                f"Face hub: {str(error).splitlines()[0]}"
            ) from error
        raise FeatureError(
            f"encoder {spec.text!r}: there is no folder {spec.target!r}, and no such model in the "
            f"local cache of the Hugging Face hub; momok downloads nothing by itself: give "
            f"--allow-download to fetch it, or the path of a folder"
        ) from None
    return Path(found)


def hash_files(folder: Path, files: Iterable[Path] | None = None) -> str:
    """Hash the files that make up a model, names and contents, as 64 hex digits.

    Args:
        files: which; all but hidden ones and documentation where it is left out.
    """
    if files is None:
        found = (p for p in folder.rglob("*") if p.is_file() and p.suffix in _MODEL_SUFFIXES)
        files = (p for p in found if not p.relative_to(folder).as_posix().startswith("."))
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.relative_to(folder).as_posix()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(str(path.stat().st_size).encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def load_model(auto_class: Any, folder: Path, *, unused: tuple[str, ...]) -> Any:
    """Load a model in evaluation mode from its safetensors; nothing is downloaded or executed.

    transformers fills weights that a file lacks with random numbers. Vectors made with those
    would be noise that differs from run to run, so it is an error here.

    Args:
        unused: parts of names of weights that encoding does not use, which may lack.
    """
    with silence_library():
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
def silence_library() -> Iterator[None]:
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
