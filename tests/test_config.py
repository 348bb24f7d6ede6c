"""Settings: preset, file, overrides; every mistake is told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from momok.config import list_settings, resolve_config, validate_config
from momok.errors import ConfigError
from momok.presets import PRESETS
from momok.settings import FeatureSettings, RunConfig


def write(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_preset_then_file_then_overrides(tmp_path) -> None:
    file = write(tmp_path, "seed = 3\n[training]\nepochs = 7\npatience = 2\n")
    config = resolve_config("paper", file=file, overrides=["training.epochs=9"])
    assert config.training.epochs == 9  # the override
    assert config.training.patience == 2  # the file
    assert config.training.beta2 == 0.999  # the preset
    assert config.seed == 3
    assert config.preset == "paper"
    assert config.training.validate_every == RunConfig().training.validate_every


def test_the_preset_may_stand_in_the_file_or_an_override(tmp_path) -> None:
    file = write(tmp_path, 'preset = "paper"\n')
    assert resolve_config(file=file).training.epochs == 2000
    assert resolve_config("default", file=file) == resolve_config()
    assert resolve_config(overrides={"preset": "paper"}) == resolve_config("paper")


def test_the_paper_is_as_published() -> None:
    """Zhang et al. 2025; what the default changes must not leak into the preset."""
    config = resolve_config("paper")
    training, model = config.training, config.model
    assert (training.epochs, training.batch_size, training.learning_rate) == (2000, 1024, 5e-4)
    assert (training.label_smoothing, training.disentanglement) == (0.1, 1e-4)
    assert (training.loss, training.beta2, training.patience) == ("probabilities", 0.999, 0)
    assert (model.structure_width, model.relation_width, model.joint_width) == (256, 256, 256)
    assert (model.experts, model.branches, model.expert_dropout) == (3, 2, 0.0)
    dropouts = model.fusion_dropout, model.input_dropout, model.relation_dropout
    assert (*dropouts, model.query_dropout) == (0.2, 0.3, 0.4, 0.5)
    assert (model.heads, model.decoder, model.fusion) == ("all", "tucker", "mujod")
    assert model.relation_temperature
    assert model.gate_noise
    assert (config.features.reduce, config.features.width) == ("paper", 256)
    assert config.features.normalise
    assert config.features.trainable


@pytest.mark.parametrize(
    ("graph", "rate", "width"),
    [("MKG-W", 1e-3, 200), ("mkg-y", 5e-4, 300), ("DB15K", 5e-4, 256), ("KVC16K", 5e-4, 256),
     ("world", 5e-4, 256)],
)  # fmt: skip
def test_the_paper_has_values_for_each_benchmark(graph, rate, width) -> None:
    config = resolve_config("paper", graph=graph)
    model = config.model
    assert config.training.learning_rate == rate
    assert (model.structure_width, model.joint_width) == (width, width)
    assert (model.relation_width, config.features.width) == (256, 256)
    changed = resolve_config("paper", graph=graph, overrides=["model.joint_width=64"])
    assert (changed.model.joint_width, changed.model.structure_width) == (64, width)
    assert resolve_config(graph=graph) == resolve_config()  # of no other preset


def test_large_keeps_nothing_that_grows_with_facts_or_paths() -> None:
    large, default = resolve_config("large"), resolve_config()
    assert large.training.candidates == "sampled"
    assert (large.model.members, large.model.structure_width) == (1, 128)
    assert (large.features.reduce, large.evaluation.pool) == ("pca", "equal")
    assert large.training.loss == default.training.loss


@pytest.mark.parametrize("preset", PRESETS)
def test_a_configuration_survives_json(preset) -> None:
    config = resolve_config(preset, overrides={"modality.text.width": 64, "seed": 5})
    assert validate_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("override", "section", "setting", "value"),
    [
        ("training.epochs=20", "training", "epochs", 20),
        ("training.learning_rate=1e-3", "training", "learning_rate", 1e-3),
        ("model.heads=joint", "model", "heads", "joint"),
        ("model.modalities=structure,text", "model", "modalities", ("structure", "text")),
        ("model.modalities=structure, text", "model", "modalities", ("structure", "text")),
        ("model.modalities=['text']", "model", "modalities", ("text",)),
        ("features.missing=mean", "features", "missing", "mean"),
        ('features.missing="zero"', "features", "missing", "zero"),
        ("features.pool_grid=[12, 64]", "features", "pool_grid", (12, 64)),
        (" runtime.threads = 2 ", "runtime", "threads", 2),
    ],
)
def test_overrides_are_read_as_toml_or_text(override, section, setting, value) -> None:
    assert getattr(getattr(resolve_config(overrides=[override]), section), setting) == value


def test_a_modality_inherits_the_settings_of_all() -> None:
    config = resolve_config(
        "paper", overrides={"features.missing": "zero", "modality.audio.width": 64}
    )
    assert config.features_of("audio") == FeatureSettings(
        **(config.features.model_dump() | {"width": 64})
    )
    assert config.features_of("text") is config.features
    assert config.features_of("audio").missing == "zero"
    assert config.features_of("audio").reduce == "paper"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epoch=3", "'training.epoch'; did you mean training.epochs?"),
        ("epochs=3", "unknown setting 'epochs'"),
        ("trainig.epochs=3", "unknown setting 'trainig'"),
        ("modality.image.widht=3", "did you mean modality.image.width?"),
        ("training.epochs=0", "training.epochs = 0: expected 1 or more"),
        ("training.epochs=many", "training.epochs = 'many': expected a whole number"),
        ("training.epochs.x=3", "training.epochs = {'x': 3}"),
        ("training.batch_size=1", "training.batch_size = 1"),
        ("training.learning_rate=nan", "training.learning_rate = nan: expected a finite number"),
        ("training.learning_rate=inf", "training.learning_rate = inf"),
        ("training.optimizer=sgd", "training.optimizer = 'sgd'"),
        ("model.query_dropout=1.0", "model.query_dropout = 1.0: expected less than 1.0"),
        ("model.modalities=3", "model.modalities = 3: expected a list"),
        ("features.pool_grid=[1,2,3]", "features.pool_grid = [1, 2, 3]: expected 2 values, not 3"),
        ("runtime.threads=99999", "runtime.threads = 99999"),
        ("runtime.device=tpu", "runtime.device = 'tpu': expected 'auto', 'cpu' or 'cuda'"),
        ("seed=-1", "seed = -1"),
        (
            "preset=papre",
            "preset 'papre' does not exist: choose one of default, small, large, experts, paper",
        ),
        ("preset=[1]", "preset [1] does not exist"),
        ("training=3", "training is a section"),
        ("features=3", "features is a section"),
        ("modality=3", "modality is a section"),
        ("modality.image=3", "modality.image is a section"),
        ("=3", "expected section.key=value"),
        ("training.epochs", "expected section.key=value"),
        ("training..epochs=3", "unknown setting 'training.'"),
    ],
)
def test_mistakes_in_overrides(override, words) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_config(overrides=[override])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_setting_used_as_a_section() -> None:
    with pytest.raises(ConfigError, match="'seed' is a setting, not a section"):
        resolve_config(overrides=["seed=1", "seed.x=2"])


def test_all_bad_values_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"epochs = 0: .*; training\.batch_size = 1: "):
        resolve_config(overrides=["training.epochs=0", "training.batch_size=1"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[training\n", "not valid TOML"),
        ("epochs = 3", "unknown setting 'epochs'"),
        ("modality = 3", "modality is a section"),
        ("[modality.text]\nwidht = 3", "did you mean modality.text.width?"),
        ("[training]\nepochs = 'x'", "training.epochs = 'x'"),
        ("preset = ['paper']", "preset ['paper'] does not exist"),
    ],
)
def test_mistakes_in_a_file(tmp_path, text, words) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_config(file=write(tmp_path, text))
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        resolve_config(file=tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        resolve_config(file=tmp_path)
    (tmp_path / "my.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"my\.toml: not valid TOML"):
        resolve_config(file=tmp_path / "my.toml")


def test_settings_do_not_change() -> None:
    config = resolve_config()
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3  # type: ignore[misc]


def test_every_setting_explains_itself_and_has_a_default() -> None:
    rows = list_settings()
    assert len({name for name, _, _ in rows}) == len(rows)
    for name, default, explanation in rows:
        assert explanation.endswith("."), name
        place: object = resolve_config()
        for part in name.split("."):
            place = getattr(place, part)
        assert not isinstance(place, BaseModel)
        assert place == default, name


def test_every_setting_is_read_somewhere() -> None:
    """A setting that nothing reads is a promise that nobody keeps."""
    package = Path(__file__).parent.parent / "src" / "momok"
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
        if path.name != "settings.py"
    )
    for name, _, _ in list_settings():
        if name != "preset":
            assert f".{name.split('.')[-1]}" in code, name
