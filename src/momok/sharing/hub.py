"""Runs on a hub of models that speaks Hugging Face's API (extra ``hub``)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from momok.errors import FetchError, RunError, first_line
from momok.extras import import_extra
from momok.graph import CATALOG
from momok.sharing.pretrained import save_pretrained
from momok.storage import write_folder
from momok.training import RunFolder

_FILES = (
    *("run.json", "config.json", "environment.json", "data.json", "metrics.jsonl", "timing.jsonl"),
    *("README.md", "graph/*.tsv", "graph/graph.json", "graph/features/*.json"),
    *("graph/features/*.safetensors", "checkpoints/best.safetensors"),
    *("checkpoints/pool.safetensors", "checkpoints/rules.safetensors"),
    *("results/*.json", "results/*.safetensors"),
)
_TOKEN = "log in with `hf auth login`, or set HF_TOKEN"


def push_to_hub(
    run: RunFolder | str | Path,
    name: str,
    *,
    public: bool = False,
    licence: str = "",
    message: str = "Upload a momok run",
) -> str:
    """Upload a finished run with a model card; the repository is made where there is none.

    Of what is there already, the files of a run are replaced and others are left alone.

    Args:
        run: a run folder or its path.
        name: of the repository, as ``user/name``.
        public: whether a new repository can be seen by everybody.
        licence: as for ``save_pretrained``.
        message: of the commit.

    Returns:
        the address of the repository.

    Raises:
        RunError: as ``save_pretrained``.
        FetchError: the hub refused, or was not reached.
        MissingExtraError: the extra ``hub`` is not installed.
    """
    hub = _import_hub("sharing a run on a hub")
    with tempfile.TemporaryDirectory() as place:
        folder = save_pretrained(run, Path(place) / "run", name=name, licence=licence)
        with _told(name):
            api = hub.HfApi(library_name="momok")
            api.create_repo(name, private=not public, exist_ok=True)
            # what an earlier run had and this one has not, goes
            options = {"commit_message": message, "delete_patterns": list(_FILES)}
            api.upload_folder(repo_id=name, folder_path=folder, **options)
            return f"{api.endpoint}/{name}"


def pull_from_hub(
    name: str, folder: str | Path | None = None, *, revision: str | None = None
) -> Path:
    """Download a run from a hub; what is there already is not downloaded again.

    Args:
        name: of the repository, as ``user/name``.
        folder: where to; by default the cache of the hub's library.
        revision: a branch, tag or commit.

    Returns:
        the run folder.

    Raises:
        DataError: the folder exists and is not empty.
        FetchError: the hub has no such repository or was not reached.
        RunError: what was downloaded is no run folder.
        MissingExtraError: the extra ``hub`` is not installed.
    """
    hub = _import_hub("loading a run from a hub")
    options: dict[str, Any] = {"revision": revision, "allow_patterns": _FILES}
    if folder is None:
        with _told(name):
            place = Path(hub.snapshot_download(name, **options))
        _check_pulled(name, place)
        return place
    path = Path(folder)
    with write_folder(path.resolve()) as draft:
        with _told(name):
            hub.snapshot_download(name, local_dir=draft, **options)
        shutil.rmtree(draft / ".cache", ignore_errors=True)  # of the hub's library
        _check_pulled(name, draft)
    return path


def _check_pulled(name: str, place: Path) -> None:
    """RunError where it is no run, or one that points to files of this machine."""
    if not (place / "run.json").is_file():
        raise RunError(f"{name}: no run of momok is in this repository")
    source = RunFolder(place).data["source"]
    if source not in {"", *(entry.name for entry in CATALOG)}:
        raise RunError(f"{name}: its graph is said to be at {source!r}, a path; it is not trusted")


def _import_hub(purpose: str) -> Any:
    return import_extra("huggingface_hub", "hub", purpose)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Say in one line what the hub's library raises."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        yield
    except HFValidationError as error:
        raise FetchError(f"{name}: no name of a repository, which is user/name: {error}") from error
    except LocalEntryNotFoundError as error:
        raise FetchError(f"{name}: the hub could not be reached, and nothing is cached") from error
    except RepositoryNotFoundError as error:
        raise FetchError(f"{name}: the hub has no such repository for you; {_TOKEN}") from error
    except HfHubHTTPError as error:
        said = (error.server_message or str(error)).partition("\n")[0]
        raise FetchError(f"{name}: the hub refused: {said}; {_TOKEN}") from error
    except OSError as error:
        raise FetchError(f"{name}: the hub could not be reached: {error}") from error
    except ValueError as error:  # names of files that lead out of the folder
        raise FetchError(f"{name}: refused: {first_line(error)}") from error
    except Exception as error:
        if not type(error).__module__.startswith("httpx"):
            raise
        raise FetchError(f"{name}: the hub could not be reached: {first_line(error)}") from error
