"""Runs on a hub of models that speaks Hugging Face's API (extra ``hub``)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from momok.errors import FetchError
from momok.extras import import_extra
from momok.sharing.pretrained import save_pretrained
from momok.training import RunFolder

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
            api.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
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
        FetchError: the hub has no such repository or was not reached.
        RunError: what was downloaded is no run folder.
        MissingExtraError: the extra ``hub`` is not installed.
    """
    hub = _import_hub("loading a run from a hub")
    with _told(name):
        place = hub.snapshot_download(name, revision=revision, local_dir=folder)
    return RunFolder(place).path


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
