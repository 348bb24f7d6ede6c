"""The plan of a study: which settings, on which damage of the graph, with which seeds.

A TOML file::

    baseline = "default"            # what others are compared with; by default the first variant
    seeds = [0, 1, 2]

    [settings]                      # of all variants
    training.epochs = 12

    [variants.default]
    [variants."one member"]
    model.members = 1
    [variants."without text"]
    against = "one member"          # compared with this instead of the baseline
    model.members = 1
    model.modalities = "structure,image"

    [[scenarios]]
    kind = "missing"                # noise, missing or sparse
    how = "degree"
    levels = [0, 0.2, 0.4]

Instead of scenarios, one variant may have a space that is searched::

    [search]
    trials = 40
    [search.space]
    training.learning_rate = { low = 0.03, high = 0.3, log = true }
    model.structure_width = [128, 256, 512]
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from momok.config import describe_problem
from momok.errors import ConfigError
from momok.graph import MultimodalGraph
from momok.storage import check_path

BUILT_IN = ("scenarios", "ablation", "baselines", "seeds", "search")

_PLANS = files("momok.studies") / "plans"
_HOW: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian", "swap"),
    "missing": ("random", "degree"),
    "sparse": ("random",),
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Variant(_Section):
    """Settings that are compared with others."""

    settings: dict[str, Any]  # by dotted name
    against: str = ""  # another variant; "" is the plan's baseline


class Scenario(_Section):
    """A kind of damage and its levels."""

    kind: Literal["noise", "missing", "sparse"]
    how: str = ""  # gaussian (default) or swap; random (default) or degree
    modality: str = "all"
    levels: tuple[float, ...] = Field(default=(0.0, 0.2, 0.4, 0.6, 0.8), min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """``how`` is the first of its kind unless it is given."""
        if isinstance(values, Mapping) and values.get("kind") in _HOW:
            return {"how": _HOW[values["kind"]][0], **values}
        return values

    @model_validator(mode="after")
    def _check(self) -> Scenario:
        if self.how not in _HOW[self.kind]:
            raise ValueError(f"how = {self.how!r}: expected {' or '.join(_HOW[self.kind])}")
        if self.kind == "sparse" and self.modality != "all":
            raise ValueError("facts are of no modality: leave modality out")
        for level in self.levels:
            most = 1 if self.kind != "sparse" else 0.99
            if not 0 <= level <= most:
                raise ValueError(f"level {level:g}: expected a share from 0 to {most:g}")
        return self

    @property
    def name(self) -> str:
        """As ``missing-text``, ``noise-swap`` or ``sparse``."""
        how = "" if self.how == _HOW[self.kind][0] else f"-{self.how}"
        return f"{self.kind}{how}{'' if self.modality == 'all' else f'-{self.modality}'}"


class Choice(_Section):
    """The values that a setting may have: those listed, or a range with both ends."""

    values: tuple[Any, ...] = ()
    low: float | int = 0
    high: float | int = 0
    step: float | int | None = None
    log: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read(cls, values: Any) -> Any:
        return {"values": values} if isinstance(values, list | tuple) else values

    @model_validator(mode="after")
    def _check(self) -> Choice:
        if not self.values and self.low >= self.high:
            raise ValueError("expected a list of values, or low and high with low < high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0, and no step")
        return self


class Space(_Section):
    """What a search looks through."""

    trials: int = Field(default=40, ge=1)
    sampler: Literal["tpe", "random"] = "tpe"
    space: dict[str, Choice] = Field(min_length=1)  # by dotted name of a setting


class Plan(_Section):
    """What a study trains; see the module for the file."""

    name: str = ""
    about: str = ""
    baseline: str = ""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    settings: dict[str, Any] = {}
    variants: dict[str, Variant] = Field(min_length=1)
    scenarios: tuple[Scenario, ...] = ()
    single_modalities_of: str = ""  # a variant that is also trained with each modality alone
    without_modalities_of: str = ""  # a variant that is also trained without each modality
    search: Space | None = None  # of the only variant

    @model_validator(mode="after")
    def _check(self) -> Plan:
        named = [self.baseline, self.single_modalities_of, self.without_modalities_of]
        named += [variant.against for variant in self.variants.values()]
        for name in filter(None, named):
            if name not in self.variants:
                raise ValueError(
                    f"there is no variant {name!r}; there are {', '.join(self.variants)}"
                )
        if self.search and (len(self.variants) > 1 or self.scenarios):
            raise ValueError("a search has one variant and no scenarios")
        if any(seed < 0 for seed in self.seeds) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds are different whole numbers from 0")
        return self

    @property
    def reference(self) -> str:
        """The variant that others are compared with."""
        return self.baseline or next(iter(self.variants))

    def select(
        self,
        *,
        variants: Sequence[str] = (),
        seeds: Sequence[int] = (),
        settings: Mapping[str, Any] | None = None,
        trials: int | None = None,
    ) -> Plan:
        """The plan with fewer variants, other seeds, settings for all, or trials of a search.

        Raises:
            ConfigError: the plan has no such variant.
        """
        for name in variants:
            if name not in self.variants:
                raise ConfigError(
                    f"plan {self.name}: there is no variant {name!r}; there are "
                    f"{', '.join(self.variants)}"
                )
        kept = {k: v for k, v in self.variants.items() if not variants or k in variants}
        changes: dict[str, Any] = {
            "variants": {
                k: v.model_copy(update={"against": v.against if v.against in kept else ""})
                for k, v in kept.items()
            },
            **{
                name: of if (of := getattr(self, name)) in kept else ""
                for name in ("baseline", "single_modalities_of", "without_modalities_of")
            },
            "settings": self.settings | flatten(settings or {}),
        }
        if seeds:
            changes["seeds"] = tuple(seeds)
        if trials and self.search:
            changes["search"] = self.search.model_copy(update={"trials": trials})
        return build_plan({**self.model_dump(), **changes})

    def adapt(self, graph: MultimodalGraph) -> Plan:
        """The plan with its variants that leave out, or have alone, each modality of a graph.

        Raises:
            ConfigError: a scenario is of features that the graph does not have.
        """
        for scenario in self.scenarios:
            known = scenario.modality in ("all", *graph.features) and bool(graph.features)
            if scenario.kind != "sparse" and not known:
                raise ConfigError(
                    f"plan {self.name}: scenario {scenario.name}: graph {graph.name!r} has "
                    f"{'only ' if graph.features else 'no features'}{', '.join(graph.features)} "
                    "(momok encode makes features)"
                )
        modalities = ["structure", *graph.features]
        variants = dict(self.variants)
        for of, words, choose in (
            (self.without_modalities_of, "without", lambda m: [x for x in modalities if x != m]),
            (self.single_modalities_of, "only", lambda m: [m]),
        ):
            for modality in modalities if of and len(modalities) > 1 else ():
                base = self.variants[of]
                settings = base.settings | {"model.modalities": ",".join(choose(modality))}
                variants[f"{of} {words} {modality}"] = Variant(settings=settings, against=of)
        changes = {"single_modalities_of": "", "without_modalities_of": ""}
        return self.model_copy(update={**changes, "variants": variants})


def load_plan(plan: str | Path) -> Plan:
    """Load a built-in plan by its name, or a TOML file.

    Raises:
        ConfigError: there is no such plan, or something in it does not fit; in one line.
    """
    if str(plan) in BUILT_IN:
        text, place = (_PLANS / f"{plan}.toml").read_text("utf-8"), str(plan)
    else:
        path = check_path(plan, "plan")
        place = str(path)
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path}: no such plan: expected {', '.join(BUILT_IN)}, or a TOML file "
                f"({getattr(error, 'strerror', None) or error})"
            ) from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{place}: not valid TOML: {error}") from error
    try:
        return build_plan({"name": Path(place).stem, **_read_variants(values)})
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error


def build_plan(values: Mapping[str, Any]) -> Plan:
    """Build a plan from plain values.

    Raises:
        ConfigError: what does not fit, in one line.
    """
    try:
        return Plan.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(map(describe_problem, error.errors()))) from error


def _read_variants(values: Mapping[str, Any]) -> dict[str, Any]:
    """``[variants.NAME]`` holds settings, and ``against`` beside them."""
    changed = dict(values)
    if isinstance(values.get("settings"), Mapping):
        changed["settings"] = flatten(values["settings"])
    if isinstance(search := values.get("search"), Mapping):
        changed.setdefault("variants", {"trial": {"settings": {}}})
        if isinstance(search.get("space"), Mapping):
            changed["search"] = {**search, "space": flatten(search["space"], leaf="low")}
    if isinstance(values.get("variants"), Mapping):
        changed["variants"] = {
            name: {
                "against": variant.get("against", ""),
                "settings": flatten({k: v for k, v in variant.items() if k != "against"}),
            }
            if isinstance(variant, Mapping)
            else variant
            for name, variant in values["variants"].items()
        }
    return changed


def flatten(settings: Mapping[str, Any], prefix: str = "", leaf: str = "") -> dict[str, Any]:
    """Settings by dotted name, of nested ones; a table with the key ``leaf`` is a value."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and not (leaf and leaf in value):
            flat |= flatten(value, f"{prefix}{name}.", leaf)
        else:
            flat[prefix + name] = value
    return flat
