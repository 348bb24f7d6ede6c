"""The runs of a plan: each variant, seed and kind of damage, and the names of their folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from momok.config import resolve_config
from momok.errors import ConfigError
from momok.settings import RunConfig
from momok.studies.plan import Plan, Scenario

_NOT_IN_NAMES = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a study; several places of its tables may show it."""

    name: str  # of the run folder
    variant: str
    scenario: Scenario | None
    level: float
    seed: int
    config: RunConfig


def list_cells(plan: Plan) -> list[Cell]:
    """List the runs of an adapted plan, each once: seed by seed, so that early results compare.

    Raises:
        ConfigError: settings of a variant that do not fit; it is named.
    """
    cells: dict[str, Cell] = {}
    for seed in plan.seeds:
        for variant in plan.variants:
            config = resolve_variant(plan, variant, seed)
            for scenario, level in list_points(plan):
                damage = scenario if is_damaged(config, scenario) else None
                name = name_cell(variant, damage, level, seed)
                found = Cell(
                    name=name, variant=variant, scenario=damage, level=level, seed=seed,
                    config=config,
                )  # fmt: skip
                if name in cells and cells[name].variant != variant:
                    raise ConfigError(
                        f"variants {cells[name].variant!r} and {variant!r} would share the folder "
                        f"{name}: rename one"
                    )
                cells[name] = found
    return list(cells.values())


def list_points(plan: Plan) -> Iterator[tuple[Scenario | None, float]]:
    """The graph as it is, unless no scenario has level 0, and every scenario at its levels."""
    if not plan.scenarios or any(0 in scenario.levels for scenario in plan.scenarios):
        yield None, 0.0
    for scenario in plan.scenarios:
        for level in scenario.levels:
            if level:
                yield scenario, level


def is_damaged(config: RunConfig, scenario: Scenario | None) -> bool:
    """Whether a run sees anything of the damage: structure alone does not look at features."""
    if scenario is None:
        return False
    return scenario.kind == "sparse" or config.model.modalities != ("structure",)


def name_cell(variant: str, scenario: Scenario | None, level: float, seed: int) -> str:
    """The folder of a run, as ``default-missing-text-40-seed0``."""
    damage = "" if scenario is None else f"-{scenario.name}-{100 * level:g}"
    word = _NOT_IN_NAMES.sub("-", variant).strip(".-") or "variant"
    return f"{word}{damage}-seed{seed}"


def resolve_variant(
    plan: Plan, variant: str, seed: int, chosen: Mapping[str, Any] | None = None
) -> RunConfig:
    """All settings of a variant, and what a search has chosen.

    Raises:
        ConfigError: one of them does not fit.
    """
    settings = {**plan.settings, **plan.variants[variant].settings, **(chosen or {}), "seed": seed}
    try:
        return resolve_config(overrides=settings)
    except ConfigError as error:
        raise ConfigError(f"plan {plan.name}: variant {variant!r}: {error}") from error
