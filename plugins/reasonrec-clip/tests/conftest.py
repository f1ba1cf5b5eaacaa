"""A tiny but real CLIP, made and saved by open_clip's own classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as open_clip publishes its models."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tiny-clip")
    torch.manual_seed(0)
    model = open_clip.CLIP(**TINY)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "resize_mode": "squash"}
    config = {"model_cfg": TINY, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def tiny_towers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small ResNet and a small BERT with random weights, as settings of clip-catalogue."""
    import timm
    import torch
    from safetensors.torch import save_file
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("towers")
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), folder / "image.safetensors")
    text = folder / "text"
    text.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *COLOURS, *SHAPES, *"abcdefghijklmnopqrstuvwxyz0123456789"]
    words += [f"##{w}" for w in "abcdefghijklmnopqrstuvwxyz0123456789"]
    pieces = BertWordPieceTokenizer(vocab={word: i for i, word in enumerate(words)})
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, model_max_length=64, **special).save_pretrained(text)
    config = BertConfig(
        vocab_size=128, hidden_size=48, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(text)
    return {
        "image_model": "test_resnet",
        "image_checkpoint": str(folder / "image.safetensors"),
        "text_model": str(text),
    }


COLOURS = {"red": (210, 30, 30), "green": (30, 160, 50), "blue": (40, 60, 210), "yellow": (230, 210, 40)}
SHAPES = ("disc", "square", "stripe")
