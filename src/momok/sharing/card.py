"""The model card of a run: what it is, how good, and how it is used."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from momok.config import resolve_config
from momok.evaluation import ANSWER, Metrics
from momok.training import RunFolder

_HITS = (1, 3, 10)


def build_card(run: RunFolder, name: str, licence: str = "", *, with_features: bool) -> str:
    """Make the card of a finished run: Markdown, with the header that hubs read.

    Args:
        run: the run.
        name: what the card calls the model.
        licence: of the model, as hubs abbreviate it; left out where it is blank.
        with_features: whether the features of its graph come with it.

    Raises:
        RunError: the run has no test result, or a file of it is damaged.
    """
    graph, config, data = run.load_graph(), run.config, run.data
    evaluation = run.load_evaluation("test", config.evaluation.protocol)
    environment = Environment(
        loader=PackageLoader("momok.sharing"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    head, relation, _ = (int(part) for part in (graph.test if len(graph.test) else graph.train)[0])
    about = run.read_about()
    return environment.get_template("card.md").render(
        name=name,
        licence=licence,
        graph=graph,
        data=data,
        config=config,
        changed=_list_changed(config, data["name"]),
        evaluation=evaluation,
        heads=[(title, _format(m)) for title, m in evaluation.overall.items()],
        answer=evaluation.overall[ANSWER],
        example=(graph.entities.labels[head], graph.relations.labels[relation]),
        machine={key: run.environment.get(key, "?") for key in ("device", "precision", "torch")},
        started="start" in about,
        has_calibration=(run.path / "results" / "calibration.json").is_file(),
        encoders={m: own["encoder"] for m, own in data.get("features", {}).items()},
        with_features=with_features,
        momok=about.get("momok", "?"),
    )


def _format(metrics: Metrics) -> list[str]:
    values = (metrics.mrr, *(metrics.hits[k] for k in _HITS))
    return ["–" if value is None else f"{100 * value:.2f}" for value in values]


def _list_changed(config: Any, graph: str) -> list[str]:
    """The settings that differ from those of the preset."""
    preset = resolve_config(config.preset, graph=graph).model_dump(mode="json")
    found = []

    def compare(now: Any, before: Any, place: str) -> None:
        if isinstance(now, dict) and isinstance(before, dict):
            for key, value in now.items():
                compare(value, before.get(key), f"{place}.{key}" if place else key)
        elif now != before and not place.startswith(("seed", "runtime")):
            found.append(f"{place} = {now}")

    compare(config.model_dump(mode="json"), preset, "")
    return found
