"""Plans: what a file says, what it lists, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from momok.errors import ConfigError
from momok.studies import BUILT_IN, Plan, load_plan
from momok.studies.cells import list_cells
from momok.studies.plan import build_plan
from tests.training.small_training import build_graph, expect_line

PLAN = """
baseline = "b"
seeds = [3, 4]
without_modalities_of = "a"
[settings]
training.epochs = 2
[variants.a]
preset = "complex"
[variants."b c"]
against = "a"
training.epochs = 5
[variants.b]
[[scenarios]]
kind = "missing"
how = "degree"
modality = "text"
levels = [0, 0.5]
[[scenarios]]
kind = "sparse"
levels = [0.25]
"""


def read(tmp_path: Path, text: str) -> Plan:
    file = tmp_path / "my plan.toml"
    file.write_text(text, encoding="utf-8")
    return load_plan(file)


def test_cells_are_the_runs_each_once(tmp_path: Path) -> None:
    cells = list_cells(read(tmp_path, PLAN).select(seeds=[3]))
    assert [cell.name for cell in cells] == [
        "a-seed3",  # structure alone does not see that texts are missing
        "a-sparse-25-seed3",
        "b-c-seed3",
        "b-c-missing-degree-text-50-seed3",
        "b-c-sparse-25-seed3",
        "b-seed3",
        "b-missing-degree-text-50-seed3",
        "b-sparse-25-seed3",
    ]
    assert {cell.seed for cell in cells} == {cell.config.seed for cell in cells} == {3}
    epochs = {cell.variant: cell.config.training.epochs for cell in cells}
    assert epochs == {"a": 2, "b": 2, "b c": 5}
    assert cells[0].config.preset == "complex"


def test_seeds_come_one_after_the_other(tmp_path: Path) -> None:
    seeds = [cell.seed for cell in list_cells(read(tmp_path, PLAN))]
    assert seeds == [3] * 8 + [4] * 8


def test_each_modality_is_left_out_or_alone() -> None:
    plan = build_plan(
        {
            "variants": {"all": {"settings": {}}},
            "without_modalities_of": "all",
            "single_modalities_of": "all",
        }
    ).adapt(build_graph())
    chosen = {
        name: variant.settings["model.modalities"]
        for name, variant in plan.variants.items()
        if name != "all"
    }
    assert chosen == {
        "all without structure": "image,text",
        "all without image": "structure,text",
        "all without text": "structure,image",
        "all only structure": "structure",
        "all only image": "image",
        "all only text": "text",
    }
    assert {variant.against for variant in plan.variants.values()} == {"", "all"}
    assert plan.adapt(build_graph()) == plan


def test_fewer_variants_forget_what_is_gone(tmp_path: Path) -> None:
    plan = read(tmp_path, PLAN).select(variants=["b c"], settings={"training.epochs": 7})
    assert list(plan.variants) == ["b c"]
    assert plan.variants["b c"].against == ""
    assert plan.reference == "b c"
    assert plan.settings == {"training.epochs": 7}


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_plans_resolve(name: str) -> None:
    plan = load_plan(name).adapt(build_graph())
    cells = list_cells(plan)
    assert len(cells) >= len(plan.seeds) * len(plan.variants)
    assert plan.about


BAD: list[tuple[str, str]] = [
    ("", "variants is missing"),
    ("variants = 3", "variants"),
    ("x = 1\n[variants.a]", "x is not known here"),
    ("[variants", "not valid TOML"),
    ("seeds = [1, 1]\n[variants.a]", "seeds are different whole numbers"),
    ("seeds = []\n[variants.a]", "seeds"),
    ("baseline = 'b'\n[variants.a]", "there is no variant 'b'; there are a"),
    ("[variants.a]\nagainst = 'c'", "there is no variant 'c'"),
    ("[variants.a]\n[[scenarios]]\nkind = 'noise'\nlevels = [1.5]", "expected a share from 0 to 1"),
    ("[variants.a]\n[[scenarios]]\nkind = 'noise'\nlevels = []", "levels"),
    ("[variants.a]\n[[scenarios]]\nkind = 'sparse'\nlevels = [1]", "share from 0 to 0.99"),
    ("[variants.a]\n[[scenarios]]\nkind = 'rust'", "kind"),
    ("[variants.a]\n[[scenarios]]\nkind = 'noise'\nhow = 'degree'", "expected gaussian or swap"),
    ("[variants.a]\n[[scenarios]]\nkind = 'sparse'\nmodality = 'text'", "leave modality out"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_does_not_fit_is_one_line_with_the_file(tmp_path: Path, text: str, words: str) -> None:
    with expect_line(ConfigError, "my plan.toml", words):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model.widht": 3}, ("variant 'a'", "unknown setting 'model.widht'")),
        ({"training.epochs": "many"}, ("variant 'a'", "training.epochs")),
    ],
)
def test_a_setting_that_does_not_fit_names_its_variant(
    settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    plan = build_plan({"name": "mine", "variants": {"a": {"settings": settings}}})
    with expect_line(ConfigError, "plan mine", *words):
        list_cells(plan)


def test_variants_need_folders_of_their_own() -> None:
    plan = build_plan({"variants": {"a b": {"settings": {}}, "a/b": {"settings": {}}}})
    with expect_line(ConfigError, "'a b' and 'a/b' would share the folder a-b-seed0"):
        list_cells(plan)


def test_a_graph_without_the_modality_is_refused() -> None:
    plan = build_plan(
        {
            "variants": {"a": {"settings": {}}},
            "scenarios": [{"kind": "missing", "modality": "sound"}],
        }
    )
    with expect_line(ConfigError, "missing-sound", "'shifts' has only image, text"):
        plan.adapt(build_graph())


def test_there_is_no_such_plan(tmp_path: Path) -> None:
    with expect_line(ConfigError, "no such plan", "scenarios, ablation, baselines, seeds"):
        load_plan(tmp_path / "none.toml")
    with expect_line(ConfigError, "there is no variant 'x'; there are default"):
        load_plan("seeds").select(variants=["x"])
