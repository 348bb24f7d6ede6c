"""Where decisions are: in a run folder, in a database by its address, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from momok.errors import RunError
from momok.extras import require_extra
from momok.graph import MultimodalGraph
from momok.graph.reviewed import ReviewedFacts
from momok.serving.reviews.files import read_reviews
from momok.serving.reviews.records import Review
from momok.serving.settings import REVIEWS
from momok.training import RunFolder

if TYPE_CHECKING:
    from momok.serving.reviews.store import ReviewStore


def is_address(place: str) -> bool:
    """Whether it is the address of a database rather than a path."""
    return "://" in place


def open_store(place: str, *, make: bool = False) -> ReviewStore:
    """The decisions of a run folder, or those in a database.

    Args:
        place: a run folder, or an address as SQLAlchemy writes it.
        make: make the database where there is none.

    Raises:
        RunError: there is no such run, or it has no decisions.
        ConfigError, StorageError: the database cannot be used, or holds no decisions.
        MissingExtraError: the extra ``serve`` is not installed.
    """
    require_extra({"sqlalchemy": "sqlalchemy"}, "serve", "reading decisions from a database")
    from momok.serving.reviews.store import ReviewStore

    if is_address(place):
        return ReviewStore(place, make=make)
    run = RunFolder(place)
    file = run.path / REVIEWS
    if not make and not file.is_file():
        raise RunError(
            f"{run.path}: no decisions here (no {REVIEWS}); where they are kept elsewhere, give "
            "the address that momok serve --reviews has"
        )
    return ReviewStore(f"sqlite:///{file.absolute()}", make=make)


def load_graph_of(place: str) -> MultimodalGraph | None:
    """The graph that decisions are of, where it is known: of a run folder."""
    return None if is_address(place) else RunFolder(place).load_graph()


def load_reviews(place: str) -> list[Review]:
    """All decisions of a file, a run folder or a database.

    Raises:
        MomokError: there are none, or they cannot be read.
    """
    if not is_address(place) and not Path(place).is_dir():
        return read_reviews(Path(place))
    store = open_store(place)
    try:
        return list(store.iterate_reviews())
    finally:
        store.close()


def load_reviewed_facts(place: str) -> ReviewedFacts:
    """The accepted and the rejected facts of a file, a run folder or a database.

    Raises:
        MomokError: there are none, or they cannot be read.
    """
    reviews = load_reviews(place)
    return ReviewedFacts(
        accepted=[review.fact for review in reviews if review.state == "accepted"],
        rejected=[review.fact for review in reviews if review.state == "rejected"],
    )
