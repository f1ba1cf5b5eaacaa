"""Small real LLaVA models, made and saved as their publishers save them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPECIAL = ["<pad>", "<s>", "</s>", "<image>"]
TEMPLATE = (
    "{% for m in messages %}{{ m['role'].upper() + ': ' }}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<image>\n' }}{% else %}{{ c['text'] + ' ' }}"
    "{% endif %}{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
SIDE, PATCH = 32, 8


def tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(["USER: Product: Acorn Lamp ASSISTANT: what kind of product is this"], trainer)
    pad, start, end, _ = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=pad,
        bos_token=start,
        eos_token=end,
        extra_special_tokens={"image_token": "<image>"},
    )


def save_llava(folder: Path, *, following: bool = False) -> Path:
    """LLaVA 1.5, or LLaVA-NeXT, with random weights."""
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
        LlavaProcessor,
    )

    words = tokenizer()
    vision = CLIPVisionConfig(
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=PATCH,
    )
    text = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        initializer_range=0.2, pad_token_id=0, max_position_embeddings=4096,
    )  # fmt: skip
    more: dict[str, Any] = {"image_token_id": 3, "image_token_index": 3}
    sizes = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    form = {"patch_size": PATCH, "vision_feature_select_strategy": "default", "chat_template": TEMPLATE}
    torch.manual_seed(0)
    if following:
        grid = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
        model: Any = LlavaNextForConditionalGeneration(
            LlavaNextConfig(vision_config=vision, text_config=text, image_grid_pinpoints=grid, **more)
        )
        pictures: Any = LlavaNextImageProcessor(image_grid_pinpoints=grid, **sizes)
        processor: Any = LlavaNextProcessor(pictures, words, num_additional_image_tokens=1, **form)
    else:
        model = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text, **more))
        processor = LlavaProcessor(CLIPImageProcessor(**sizes), words, num_additional_image_tokens=1, **form)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
