"""``momok predict RUN --new-entity``: questions about an entity that the graph does not have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from momok.errors import ConfigError, FeatureError

if TYPE_CHECKING:
    from momok.prediction import NewEntity, NewPredictions, Predictor

__all__ = ["predict_new", "read_new_entity"]

_KEYS = ("name", "text", "image")


def predict_new(
    run: str,
    words: Sequence[str],
    relation: str,
    *,
    role: Literal["head", "tail"],
    k: int,
    graph: str | None,
    plausible: bool = False,
) -> tuple[Predictor, NewPredictions]:
    """Answer (new, relation, ?), or (?, relation, new) where its role is ``tail``.

    Args:
        run: the run folder.
        words: KEY=VALUE, what is known of the entity.
        relation: by label or name.
        role: the side of the fact that the entity is.
        k: how many answers.
        graph: where the graph of the run lies now, if it was moved.
        plausible: only entities that answer such a question in train.
    """
    entity = read_new_entity(words)

    from momok.prediction import Predictor
    from momok.progress import ProgressBar

    with ProgressBar() as bar:  # seconds, most of them for the encoder's weights
        bar.progress("loading the model", 0, 0)
        predictor = Predictor(run, source=graph)
        bar.progress("encoding the new entity", 0, 0)
        return predictor, predictor.predict_new(
            entity, relation=relation, role=role, k=k, plausible=plausible
        )


def read_new_entity(words: Sequence[str]) -> NewEntity:
    """Read what is known of an entity from KEY=VALUE words.

    Raises:
        ConfigError: a word without a key, an unknown key, or a key given twice.
        FeatureError: a vector's file cannot be read.
    """
    from momok.prediction import NewEntity

    given: dict[str, str] = {}
    pictures: list[str] = []
    vectors: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise ConfigError(
                f"--new-entity: {word!r} is not KEY=VALUE; give name=, text= or image=, in quotes "
                'where there are blanks: "name=East Timor"'
            )
        if not value.strip():
            raise ConfigError(f"--new-entity: {key}= says nothing; leave it out")
        if key in given or key in vectors:
            raise ConfigError(f"--new-entity: {key}= is given twice; only image= may be repeated")
        if value.startswith("@") and key != "name":
            vectors[key] = _read_vector(key, Path(value[1:]))
        elif key == "image":
            pictures.append(value)
        elif key in _KEYS:
            given[key] = value
        else:
            raise ConfigError(_say_unknown(key))
    return NewEntity(**given, pictures=tuple(pictures), vectors=vectors)


def _say_unknown(key: str) -> str:
    from momok.graph.names import suggest_near_misses

    near = suggest_near_misses(key, _KEYS) or f"; there are {', '.join(_KEYS)}"
    return (
        f"--new-entity: there is no key {key!r}{near}; a vector for a modality of this name is "
        f"given as {key}=@vector.npy"
    )


def _read_vector(key: str, path: Path) -> Any:
    """A vector [d] from a .npy file; [1, d] is taken too."""
    from zipfile import BadZipFile  # NumPy opens what looks like an archive as one

    import numpy as np

    try:
        with path.open("rb") as file:
            vector = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise FeatureError(
            f"{key}=@{path}: there is no such file; @ stands before the file of a vector"
        ) from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise FeatureError(f"{key}=@{path}: is no .npy file of numbers ({error})") from error
    if not isinstance(vector, np.ndarray) or vector.dtype.kind not in "fiu":
        raise FeatureError(f"{key}=@{path}: is no .npy file of numbers")
    if vector.ndim == 2 and len(vector) == 1:
        vector = vector[0]
    if vector.ndim != 1:
        raise FeatureError(f"{key}=@{path}: shape {list(vector.shape)}, expected one vector [d]")
    return vector
