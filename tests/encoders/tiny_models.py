"""Small models of transformers with random weights, saved as a user would have them on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
PICTURES = {**SIZES, "image_size": 32, "patch_size": 8}
WORDS = {**SIZES, "vocab_size": 60, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SQUARE = {"size": {"height": 32, "width": 32}}
CROPPED = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}

VISION = ("vit", "beit", "dinov2", "clip", "siglip")


def save_vision(name: str, folder: Path) -> Path:
    """Save one of ``VISION`` with its image processor."""
    import transformers as library

    torch.manual_seed(3)
    both = {"text_config": WORDS, "vision_config": PICTURES}
    models: dict[str, Any] = {
        "vit": lambda: library.ViTModel(library.ViTConfig(**PICTURES)),
        "beit": lambda: library.BeitModel(library.BeitConfig(**PICTURES)),
        "dinov2": lambda: library.Dinov2Model(library.Dinov2Config(**PICTURES)),
        "clip": lambda: library.CLIPModel(library.CLIPConfig(**both, projection_dim=12)),
        "siglip": lambda: library.SiglipModel(library.SiglipConfig(**both)),
    }
    processors: dict[str, Any] = {
        "vit": lambda: library.ViTImageProcessorPil(**SQUARE),
        "beit": lambda: library.BeitImageProcessorPil(**SQUARE, do_center_crop=False),
        "dinov2": lambda: library.BitImageProcessorPil(**CROPPED),
        "clip": lambda: library.CLIPImageProcessorPil(**CROPPED),
        "siglip": lambda: library.SiglipImageProcessorPil(**SQUARE),
    }
    _save(models[name](), folder)
    processors[name]().save_pretrained(folder)
    return folder


def save_language(folder: Path) -> Path:
    """Save a small BERT with a tokenizer of letters."""
    import transformers as library
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(4)
    config = library.BertConfig(**SIZES, vocab_size=60, max_position_embeddings=24)
    _save(library.BertModel(config), folder)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {token: i for i, token in enumerate([*special, *"abcdefghijklmnopqrstuvwxyzÀé中"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    library.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=24,
    ).save_pretrained(folder)
    return folder


def _save(model: Any, folder: Path) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)
