"""The settings of a run: what differs from its preset, and all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from momok.config import FeatureSettings, RunConfig, list_settings, resolve_config
from momok.reporting.report.blocks import Badge, Cell, Code, Column, Row, Sentence, Table
from momok.reporting.report.contents import RunContents
from momok.reporting.report.numbers import Number, clean_text, point_to

__all__ = ["flatten_config", "list_changes", "settings_tables", "show_value"]


def flatten_config(config: RunConfig) -> dict[str, Any]:
    """Every setting by its dotted name; those of single modalities last."""
    flat: dict[str, Any] = {}

    def add(values: Mapping[str, Any], prefix: str) -> None:
        for name, value in values.items():
            if isinstance(value, Mapping):
                add(value, f"{prefix}{name}.")
            else:
                flat[prefix + name] = value

    values = config.model_dump(mode="json")
    modality = values.pop("modality")
    add(values, "")
    add(modality, "modality.")
    return flat


def list_changes(config: RunConfig) -> dict[str, tuple[Any, Any]]:
    """The settings that differ from the run's preset: (value, the preset's value)."""
    preset = flatten_config(resolve_config(config.preset))
    base = config.features.model_dump(mode="json")  # what a modality's own settings start from
    changes = {}
    for name, value in flatten_config(config).items():
        usual = base.get(name.split(".")[-1]) if name.startswith("modality.") else preset[name]
        if value != usual:
            changes[name] = value, usual
    return changes


def settings_tables(contents: RunContents) -> list[Table]:
    """The settings that differ from the preset, and all the others, folded."""
    changes = list_changes(contents.config)
    explanations = {name: text for name, _, text in list_settings()}
    explanations |= {
        name: " ".join((field.description or "").split())
        for name, field in FeatureSettings.model_fields.items()
    }
    changed, others = [], []
    for name, value in flatten_config(contents.config).items():
        shown = show_value(value, point_to("config.json", *name.split(".")))
        purpose = explain_in_words(
            explanations.get(name) or explanations.get(name.split(".")[-1], "")
        )
        header = Code(text=clean_text(name))
        if name in changes:
            usual = show_value(changes[name][1])
            changed.append(Row(header=header, cells=[shown, usual, purpose], marked=True))
        else:
            others.append(Row(header=header, cells=[shown, purpose]))
    preset = contents.config.preset
    setting, given = Column(title="setting", number=False), Column(title="value", number=False)
    explanation = Column(title="what it does", number=False)
    of_preset = Column(title=f"preset {preset}", number=False)
    tables = []
    if changed:
        columns = [setting, given, of_preset, explanation]
        tables.append(
            Table(
                caption=f"Settings that differ from the preset {preset}",
                columns=columns,
                groups=[("", changed)],
            )
        )
    tables.append(
        Table(
            caption=f"Settings as in the preset {preset} ({len(others)})",
            columns=[setting, given, explanation],
            groups=[("", others)],
            folded=True,
        )
    )
    return tables


def explain_in_words(text: str) -> Sentence:
    """An explanation of a setting, with its words of code set apart."""
    parts = text.split("``")
    return tuple(Code(text=p) if n % 2 else p for n, p in enumerate(parts) if p)


def show_value(value: Any, source: str = "") -> Cell:
    """A setting's value as it is written for ``--set``; numbers are traceable."""
    if value is None:
        return Badge(text="unset")
    if isinstance(value, bool):
        return Code(text=str(value).lower())
    if isinstance(value, int | float):
        return Number(
            value=value,
            text=f"{value:g}" if isinstance(value, float) else str(value),
            source=source,
        )
    if isinstance(value, list | tuple):
        return Code(text=clean_text(",".join(map(str, value)))) if value else Badge(text="all")
    return Code(text=clean_text(str(value)))
