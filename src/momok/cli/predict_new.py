"""momok predict-new"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from momok.cli.predict import add_answer_options, give_answers, relation_option
from momok.errors import ConfigError, FeatureError

if TYPE_CHECKING:
    from momok.prediction import NewEntity

_KEYS = ("name", "text", "image")


@click.command("predict-new")
@click.argument("run")
@click.argument("words", nargs=-1, required=True, metavar="KEY=VALUE...")
@relation_option
@click.option(
    "--as",
    "role",
    type=click.Choice(["head", "tail"]),
    default="head",
    help="The side of the fact that the new entity is; the other is predicted [head].",
)
@click.option(
    "--graph",
    metavar="GRAPH",
    help="Where the graph of the run is now, if it was moved [where it was].",
)
@add_answer_options
def predict_new_command(
    *,
    run: str,
    words: tuple[str, ...],
    graph: str | None,
    form: str | None,
    out: str | None,
    **question: Any,
) -> None:
    """Predict facts of an entity that the graph does not have.

    KEY=VALUE says what is known of it: name= is its name, text= a description, image= a picture
    file (again for several); MODALITY=@vector.npy gives a feature vector instead.

    \b
    An entity that came after training, and has no facts yet:
      momok predict-new RUN name="Republic of Nuku" image=flag.png --relation "located in"
    Which countries would pay with a new currency?
      momok predict-new RUN name="Nuku Dollar" --as tail --relation currency
    Known by a feature vector, the answers as data:
      momok predict-new RUN text=@vector.npy --relation "city in" -k 100 --out cities.json

    The entity is encoded as the graph was (momok encode), so the graph must be where it was and
    its encoders installed. The heads of what it has vote, and beside them the entities of the graph
    that are similar to it. docs/prediction.md says how good the answers are: from people's names
    alone expect little. `momok predict --help` explains the numbers.
    """
    entity = read_new_entity(words)

    from momok.prediction import Predictor
    from momok.progress import ProgressBar

    with ProgressBar() as bar:  # seconds, most of them for the encoder's weights
        bar.progress("loading the model", 0, 0)
        predictor = Predictor(run, source=graph)
        bar.progress("encoding the new entity", 0, 0)
        predictions = predictor.predict_new(entity, **question)
    about = {"graph": predictor.graph.name, "run": run, "plausible": question["plausible"]}
    give_answers(predictions, form, out, about)


def read_new_entity(words: Sequence[str]) -> NewEntity:
    """Read what is known of an entity from KEY=VALUE words.

    Raises:
        ConfigError: a word without a key, an unknown key, or a key given twice.
        FeatureError: a vector's file cannot be read.
    """
    from momok.graph.names import suggest_near_misses
    from momok.prediction import NewEntity

    given: dict[str, str] = {}
    pictures: list[str] = []
    vectors: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise ConfigError(
                f"{word!r} is not KEY=VALUE; give name=, text= or image=, in quotes "
                'where there are blanks: "name=East Timor"'
            )
        if not value.strip():
            raise ConfigError(f"{key}= says nothing; leave it out")
        if key in given or key in vectors:
            raise ConfigError(f"{key}= is given twice; only image= may be repeated")
        if value.startswith("@") and key != "name":
            vectors[key] = _read_vector(key, Path(value[1:]))
        elif key == "image":
            pictures.append(value)
        elif key in _KEYS:
            given[key] = value
        else:
            near = suggest_near_misses(key, _KEYS) or f"; there are {', '.join(_KEYS)}"
            raise ConfigError(
                f"there is no key {key!r}{near}; a vector for a modality of this name is "
                f"given as {key}=@vector.npy"
            )
    return NewEntity(**given, pictures=tuple(pictures), vectors=vectors)


def _read_vector(key: str, path: Path) -> Any:
    """A vector [d] from a .npy file; [1, d] is taken too."""
    from zipfile import BadZipFile  # NumPy opens what looks like an archive as one

    import numpy as np

    try:
        with path.open("rb") as file:  # by its name NumPy may leave it open
            vector = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise FeatureError(
            f"{key}=@{path}: there is no such file; @ stands before the file of a vector"
        ) from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise FeatureError(f"{key}=@{path}: is no .npy file of numbers ({error})") from error
    if not isinstance(vector, np.ndarray) or vector.dtype.kind not in "fiu":
        raise FeatureError(f"{key}=@{path}: is no .npy file of numbers")
    if vector.shape[:-1] not in {(), (1,)}:
        raise FeatureError(f"{key}=@{path}: shape {list(vector.shape)}, expected one vector [d]")
    return vector.reshape(-1)
