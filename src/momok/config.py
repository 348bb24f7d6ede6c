"""The settings of a run, put together from a preset, a file and overrides.

Resolution order: the preset, then the file (TOML), then ``--set section.key=value`` overrides.
An unknown key is an error that names the nearest one.
"""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from momok.errors import ConfigError
from momok.presets import PAPER_ON, PRESETS
from momok.settings import FeatureSettings, RunConfig

# What pydantic says of a value, by the kind of the problem; {names} are in its context.
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dataclass_type": "names with values",
    "dict_type": "names with values",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_attributes_type": "a JSON object (Content-Type: application/json)",
    "string_pattern_mismatch": "only letters, digits, - and _",
    "string_too_long": "{max_length} characters or less",
    "string_too_short": "{min_length} or more characters",
    "string_type": "text",
    "too_long": "{max_length} values, not {actual_length}",
    "too_short": "{min_length} or more values, not {actual_length}",
    "tuple_type": "a list",
}


def resolve_config(
    preset: str | None = None,
    *,
    file: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    base: RunConfig | None = None,
    graph: str = "",
) -> RunConfig:
    """Put a configuration together: preset, then file, then overrides.

    Args:
        preset: one of ``PRESETS``; overrides the one that the file names.
        file: a TOML file with the sections of ``RunConfig``.
        overrides: ``["training.epochs=10", ...]`` or ``{"training.epochs": 10, ...}``.
        base: settings that stand in the place of a preset, which then may not be chosen.
        graph: the name of the graph, by which ``paper`` has the authors' values for MKG-W and
            MKG-Y; without, or with another name, those for DB15K and KVC16K.

    Raises:
        ConfigError: an unknown setting (the nearest is named) or a value that does not fit.
    """
    if not isinstance(file, str | Path | None):
        raise ConfigError(f"file = {file!r:.80}: expected a path")
    given = _read_file(Path(file)) if file is not None else {}
    changes = parse_overrides(overrides)
    chosen = preset or changes.get("preset") or given.get("preset")
    if base is not None and chosen is not None:
        raise ConfigError(
            f"preset {chosen!r}: the settings are those of the run that is started from; leave it "
            "out, or change single settings"
        )
    chosen = chosen or (base.preset if base is not None else "default")
    if not isinstance(chosen, str) or chosen not in PRESETS:
        raise ConfigError(f"preset {chosen!r} does not exist: choose one of {', '.join(PRESETS)}")
    begin = PRESETS[chosen] if base is None else base.model_dump(mode="json")
    if base is None and chosen == "paper":
        begin = _merge(begin, PAPER_ON.get(graph.upper(), {}))
    values = _merge(_merge(begin, given), changes)
    values["preset"] = chosen
    validate_config(values)  # sections are sections, so that one can be based on another
    values["modality"] = {
        name: _merge(values.get("features", {}), own)
        for name, own in values.get("modality", {}).items()
    }
    return validate_config(values)


def validate_config(values: Mapping[str, Any]) -> RunConfig:
    """Build a configuration from plain values.

    Raises:
        ConfigError: in one line, every value that does not fit and why.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(map(_describe_setting, error.errors()))) from error


def _describe_setting(problem: Mapping[str, Any]) -> str:
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return describe_unknown(place)
    if problem["type"] in ("dict_type", "model_type"):
        return f"{place} is a section: set one of its settings"
    return describe_problem(problem)


def describe_problem(problem: Mapping[str, Any]) -> str:
    """Say in plain words what pydantic found wrong with a value (an item of its ``errors()``)."""
    kind, context = problem["type"], problem.get("ctx", {})
    place = ".".join(map(str, problem["loc"]))
    if kind == "missing":
        return f"{place} is missing"
    if kind == "extra_forbidden":
        return f"{place} is not known here"
    if kind == "value_error":
        return f"{place}: {context['error']}"
    if kind == "json_invalid":
        return f"not valid JSON: {context['error']}"
    expected = _EXPECTED.get(kind)
    said = f"expected {expected.format_map(context)}" if expected else str(problem["msg"])
    return f"{place} = {reprlib.repr(problem['input'])}: {said}" if place else said


def list_settings(config: RunConfig | None = None) -> list[tuple[str, Any, str]]:
    """Every setting as (dotted name, value, what it does), sections first to last.

    By default the values are those of the preset ``default``.
    """
    return list(_list_section(config or resolve_config(), ""))


def _list_section(section: BaseModel, prefix: str) -> Iterator[tuple[str, Any, str]]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _list_section(value, f"{prefix}{name}.")
        elif name != "modality":
            literal = get_origin(field.annotation) is Literal
            choices = get_args(field.annotation) if literal else field.examples
            also = f" One of {', '.join(choices)}." if choices else ""
            yield prefix + name, value, " ".join((field.description or "").split()) + also


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def parse_overrides(overrides: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """``section.key=value`` pairs as nested values; a value is read as TOML, else as text.

    Raises:
        ConfigError: a pair without ``=``, or a section that is a setting.
    """
    if isinstance(overrides, Mapping):
        pairs: list[tuple[str, Any]] = list(overrides.items())
    elif isinstance(overrides, str) or not isinstance(overrides, Sequence):
        raise ConfigError(f"overrides = {overrides!r:.80}: expected settings by name, or a list")
    else:
        pairs = []
        for text in overrides:
            key, equals, value = text.partition("=")
            if not equals or not key.strip():
                raise ConfigError(f"--set {text!r}: expected section.key=value")
            pairs.append((key.strip(), _parse_value(value.strip())))
    nested: dict[str, Any] = {}
    for key, value in pairs:
        *sections, last = str(key).split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {key}: {section!r} is a setting, not a section")
        place[last] = value
    return nested


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def describe_unknown(key: str) -> str:
    """Say that there is no such setting, and which may be meant."""
    from rapidfuzz import process

    names = [name for name, _, _ in list_settings()]
    if key.startswith("modality."):
        modality = key.split(".")[1]
        names = [f"modality.{modality}.{name}" for name in FeatureSettings.model_fields]
    best = process.extractOne(key, names, score_cutoff=50)
    hint = f"; did you mean {best[0]}?" if best else ""
    return f"unknown setting {key!r}{hint} (momok config lists all settings)"
