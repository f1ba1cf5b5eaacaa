"""8-bit generation: nearly the same numbers, the same for a text whatever stands beside it, and never stale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reasonrec_cot.backbone.cache import make_cache
from reasonrec_cot.backbone.config import BackboneConfig
from reasonrec_cot.backbone.generate import generate
from reasonrec_cot.backbone.int8 import Int8Linear, quantised
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.prompt import Prompt


@pytest.fixture(scope="module")
def quick(llama: Path) -> Backbone:
    """The small Llama that writes in 8 bits."""
    return Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32", generation="int8"))


def prompts(count: int) -> list[Prompt]:
    random = np.random.default_rng(0)
    return [Prompt(random.integers(10, 300, 5 + 3 * n), np.zeros(5 + 3 * n, np.uint8)) for n in range(count)]


@pytest.mark.parametrize("engine", ["x86", "qnnpack"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_is_nearly_the_same_and_rows_are_independent(
    dtype: torch.dtype, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine not in torch.backends.quantized.supported_engines:
        pytest.skip(f"torch is built without {engine}")
    monkeypatch.setattr(torch.backends.quantized, "engine", engine)
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 48).to(dtype)
    small = Int8Linear(layer)
    rows = torch.randn(3, 5, 64).to(dtype) * torch.tensor([1e-3, 1.0, 300.0]).to(dtype)[:, None, None]
    with torch.no_grad():
        found, exact = small(rows), layer(rows)
    assert found.dtype == dtype
    for part in range(3):  # however loud a row, its error is small against itself
        error = (found[part] - exact[part]).float().norm() / exact[part].float().norm()
        assert error < 0.02
    torch.testing.assert_close(small(rows[2:, 1:2]), found[2:, 1:2], rtol=0, atol=0)
    torch.testing.assert_close(small(-rows[1:2]), 2 * small(rows[1:2] * 0) - found[1:2], rtol=0.02, atol=0.02)


def test_processors_without_instructions_for_it_quantise_inputs_to_seven_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    torch.manual_seed(0)
    layer, rows = torch.nn.Linear(64, 48), torch.randn(5, 64)
    small, levels = Int8Linear(layer), 63
    largest = rows.abs().amax(1, keepdim=True)
    expected = torch.nn.functional.linear(
        (rows / largest * levels).round() / levels * largest, layer.weight, layer.bias
    )
    with torch.no_grad():
        torch.testing.assert_close(small(rows), expected, rtol=0, atol=0.02)
        assert (small(rows) - expected).norm() < 0.7 * (layer(rows) - expected).norm()


def test_several_layers_at_once_are_each_alone() -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(64, 16), torch.nn.Linear(64, 24, bias=False), torch.nn.Linear(64, 8)]
    rows = torch.randn(5, 64)
    with torch.no_grad():
        apart = torch.cat([Int8Linear(layer)(rows) for layer in layers], -1)
        torch.testing.assert_close(Int8Linear(*layers)(rows), apart, rtol=0, atol=1e-6)


def test_hidden_states_are_close(quick: Backbone) -> None:
    tokens = torch.arange(10, 40)[None]
    with torch.no_grad():
        exact = quick.decoder(input_ids=tokens).last_hidden_state
        found = quantised(quick.decoder)(input_ids=tokens).last_hidden_state
        embedded, places = quick.embed(tokens), torch.arange(30)[None]
        lean = quick.writer[0](embedded, None, places, make_cache(quick.layers)).last_hidden_state
    assert torch.nn.functional.cosine_similarity(exact, found, dim=-1).min() > 0.995
    assert torch.nn.functional.cosine_similarity(exact, lean, dim=-1).min() > 0.995
    assert quick.writer[0].get_input_embeddings() is quick.decoder.get_input_embeddings()


def test_a_text_does_not_depend_on_what_is_written_beside_it(quick: Backbone) -> None:
    many = generate(quick, quick.read(prompts(4)), 12)
    for number, prompt in enumerate(prompts(4)):
        assert generate(quick, quick.read([prompt]), 12)[0].tokens == many[number].tokens


def test_changed_weights_are_written_with(llama: Path) -> None:
    fresh = Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32", generation="int8"))
    before = generate(fresh, fresh.read(prompts(1)), 8)[0].tokens
    with torch.no_grad():
        for weight in fresh.decoder.parameters():
            weight.mul_(-1)
    fresh.forget()
    exact = Backbone(BackboneConfig(model=str(llama), device="cpu", precision="float32"))
    exact.model.load_state_dict(fresh.model.state_dict())
    after = generate(fresh, fresh.read(prompts(1)), 8)[0]
    assert after.tokens != before
    exact_reading = exact.read(prompts(1))
    assert generate(exact, exact_reading, 1)[0].tokens == after.tokens[:1]


def test_the_original_is_left_alone(quick: Backbone) -> None:
    before = {name: value.clone() for name, value in quick.decoder.state_dict().items()}
    quantised(quick.decoder)
    assert any(isinstance(part, torch.nn.Linear) for part in quick.decoder.modules())
    for name, value in quick.decoder.state_dict().items():
        assert torch.equal(value, before[name])
