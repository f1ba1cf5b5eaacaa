"""What writes does what the model does, in fewer operations; models built otherwise write by their own layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from reasonrec_cot.backbone.config import BackboneConfig
from reasonrec_cot.backbone.generate import generate
from reasonrec_cot.backbone.lean import Lean, is_like_llama, works_as
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.prompt import Prompt
from tiny_model import tiny_tokenizer

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.15,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def made(folder: Path, kind: str, precision: str = "float32", generation: str = "exact", **more: Any) -> Backbone:
    """A small model of a kind, with random weights everywhere."""
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(vocab_size=len(tokenizer), **{**SMALL, **more})
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                weight.add_(torch.randn_like(weight) * 0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = {"model": str(folder), "device": "cpu", "precision": precision, "generation": generation}
    return Backbone(BackboneConfig.model_validate(settings))


def prompts(count: int) -> list[Prompt]:
    random = np.random.default_rng(0)
    return [Prompt(random.integers(10, 300, 5 + 3 * n), np.zeros(5 + 3 * n, np.uint8)) for n in range(count)]


LIKE_LLAMA = {
    "Llama": {},
    "Mistral": {"sliding_window": None},
    "Qwen2": {"layer_types": ["full_attention"] * 2},
}


@pytest.mark.parametrize("kind", LIKE_LLAMA)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_states_are_those_of_the_decoder(tmp_path: Path, kind: str, precision: str) -> None:
    backbone = made(tmp_path, kind, precision, **LIKE_LLAMA[kind])
    lean = backbone.writer[0]
    assert isinstance(lean, Lean)
    rows: list[list[list[int]]] = [[[20], [21], [22]], [[30, 31, 32], [40], []], [[50], [51, 52], [53]]]
    readings = [backbone.read(prompts(3)) for _ in range(2)]
    for given in rows:  # texts of unlike length, several tokens, none
        for reading, decoder in zip(readings, (None, lean), strict=True):
            backbone.advance(reading, given, decoder=decoder)
        scale = readings[0].states.abs().max()
        worst = (readings[0].states - readings[1].states).abs().max()
        assert worst < (1e-4 if precision == "float32" else 0.06) * scale


def test_one_head_and_no_grouping_are_read_as_well(tmp_path: Path) -> None:
    backbone = made(tmp_path, "Llama", num_key_value_heads=4, head_dim=16, attention_bias=True, mlp_bias=True)
    assert isinstance(backbone.writer[0], Lean)
    assert isinstance(made(tmp_path, "Llama", num_key_value_heads=1).writer[0], Lean)


def test_parts_alike_that_are_put_together_otherwise_are_found_out(tmp_path: Path) -> None:
    backbone = made(tmp_path, "Granite", residual_multiplier=0.5, attention_multiplier=0.2)
    assert is_like_llama(backbone.decoder)
    assert not works_as(backbone.decoder, Lean(backbone.decoder))
    assert backbone.writer[0] is backbone.decoder


@pytest.mark.parametrize("kind", ["Granite", "Qwen3", "Gemma"])
@pytest.mark.parametrize("generation", ["exact", "int8"])
def test_other_models_write_as_well(tmp_path: Path, kind: str, generation: str) -> None:
    more = {"Granite": {"residual_multiplier": 0.5}, "Qwen3": {"layer_types": ["full_attention"] * 2}}
    backbone = made(tmp_path, kind, generation=generation, head_dim=8, **more.get(kind, {}))
    assert not isinstance(backbone.writer[0], Lean)
    tokens = torch.from_numpy(prompts(1)[0].tokens)[None]
    with torch.inference_mode():
        first = backbone.model(tokens).logits[0, -1].topk(2).indices.tolist()
    assert generate(backbone, backbone.read(prompts(1)), 4)[0].tokens[0] in first


def test_adapters_are_part_of_what_writes(llama: Path) -> None:
    from peft import LoraConfig, get_peft_model

    backbone = Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32"))

    def states() -> torch.Tensor:
        found = []
        for decoder in (backbone.writer[0], None):
            reading = backbone.read(prompts(1))
            backbone.advance(reading, [[20]], decoder=decoder)
            found.append(reading.states)
        torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-3)
        return found[0]

    before = states()
    tuned = get_peft_model(backbone.model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    backbone.forget()
    assert backbone.writer[0] is backbone.decoder
    tuned.merge_and_unload()
    backbone.forget()
    assert isinstance(backbone.writer[0], Lean)
    assert not torch.allclose(states(), before, rtol=1e-2, atol=1e-2)
