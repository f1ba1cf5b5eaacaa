"""The transformers model behind `TextEncoder`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from reasonrec_torch.devices import pick_device
from reasonrec_torch.pretrained import load_pretrained
from transformers import AutoModel, AutoTokenizer

from reasonrec_core.types import Float32
from reasonrec_text.encoder import TextConfig

TOKENS_AT_ONCE = {"cpu": 1024}
"""Padded tokens per forward pass. A CPU's caches want few: 1024 is 1.3 times as fast as 8192."""
OTHERWISE = 65_536


class SentenceModel:
    """A tokenizer and a transformer from a folder on disk; nothing is downloaded and no code of the model is run."""

    def __init__(self, folder: Path, config: TextConfig) -> None:
        self.config = config
        self.device = pick_device(config.device)
        loaded = load_pretrained(
            folder,
            AutoModel,
            AutoTokenizer,
            dtype=getattr(torch, config.dtype),
            device=self.device,
            optional=("pooler.",),
            fix="Give a folder or a hub name that AutoModel and AutoTokenizer understand.",
        )
        self.model, self.tokenizer = loaded.model, loaded.reader
        self.pooling = _pooling(folder) if config.pooling == "auto" else config.pooling
        limit = getattr(loaded.config, "max_position_embeddings", None) or config.max_length
        self.max_length = min(config.max_length, limit, self.tokenizer.model_max_length)

    def encode(self, texts: Sequence[str]) -> Float32:
        """float32[n, d]; texts of like length share a forward pass, so little is padded."""
        ids = self.tokenizer(
            [self.config.prefix + text for text in texts], truncation=True, max_length=self.max_length
        )["input_ids"]
        lengths = np.array([len(row) for row in ids])
        order = np.argsort(lengths, kind="stable")
        out: Float32 | None = None
        for rows in _groups(order, lengths, TOKENS_AT_ONCE.get(self.device.type, OTHERWISE)):
            vectors = self._forward([ids[row] for row in rows])
            out = np.empty((len(texts), vectors.shape[1]), np.float32) if out is None else out
            out[rows] = vectors
        return np.empty((0, self.model.config.hidden_size), np.float32) if out is None else out

    @torch.inference_mode()
    def _forward(self, ids: list[list[int]]) -> Float32:
        batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.device)
        states = self.model(**batch).last_hidden_state
        if self.pooling == "cls":
            vectors = states[:, 0]
        else:
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
            vectors = (states * mask).sum(1) / mask.sum(1)
        vectors = vectors.float()
        if self.config.normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)


def _groups(order: np.ndarray, lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
    """``order`` (short to long) cut so that a group has at most ``tokens`` padded tokens, or is one text."""
    groups, start = [], 0
    for stop in range(1, len(order) + 1):
        if stop == len(order) or (stop + 1 - start) * int(lengths[order[stop]]) > tokens:
            groups.append(order[start:stop])
            start = stop
    return groups


def _pooling(folder: Path) -> str:
    """What a sentence-transformers folder says about itself; mean for any other."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    return "cls" if json.loads(path.read_text(encoding="utf-8")).get("pooling_mode_cls_token") else "mean"
