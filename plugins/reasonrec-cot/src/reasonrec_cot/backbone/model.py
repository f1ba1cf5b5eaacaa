"""The language model: prompts read with shared beginnings, continuations read side by side, hidden states, logits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import torch
from reasonrec_torch.devices import pick_device
from reasonrec_torch.weights import Weights
from torch import nn

from reasonrec_core.errors import ConfigError, PluginError, WeightsError
from reasonrec_core.types import Int64
from reasonrec_cot.backbone.kv_cache import PrefixCache, Reading, Usage, count_common, make_cache, view_layers
from reasonrec_cot.backbone.loading import (
    find_backbone,
    load_model,
    precision_of,
    shorten,
    tokens_at_once,
    window_of,
)
from reasonrec_cot.backbone.logits import Logits
from reasonrec_cot.backbone.padding import grouped, left_padded, right_padded
from reasonrec_cot.backbone.prompt_lookup import DraftMemory
from reasonrec_cot.backbone.tokenisation import Prompt
from reasonrec_cot.config import BackboneConfig

WORTH_SHARING = 16
"""Tokens of a count_common beginning from which on reading it once, for itself, pays."""
RECURRENT = ("linear_attention", "mamba", "recurrent", "conv")


class SoftTokens(Protocol):
    """Vectors that stand in a prompt where no word stands."""

    @property
    def key(self) -> str:
        """Changes when a code's vector does."""

    def vectors(self, codes: torch.Tensor) -> torch.Tensor:
        """[n, d] for int64[n] codes, see `Prompt.tokens`."""


class Backbone:
    """A causal or image-text-to-text model of transformers, its tokenizer, and what it read lately.

    `model` is transformers' own and may be tuned in place (LoRA: peft's ``get_peft_model`` replaces its layers);
    afterwards `forget` what was read by the old weights.

    Args:
        config: which model, where, in which precision.
        weights: found already; else they are sought.

    Raises:
        WeightsError: there are none, or they cannot be loaded.
        ConfigError: there is no such device, or the model keeps states that cannot be shared.
    """

    def __init__(self, config: BackboneConfig, weights: Weights | None = None) -> None:
        self.config, self.weights = config, weights or find_backbone(config)
        self.device = pick_device(config.device)
        self.dtype = precision_of(config, self.device)
        self.model, self.tokenizer = load_model(self.weights.path, self.dtype, self.device)
        if config.layers is not None:
            shorten(self.model, config.layers)
        self.prefixes, self.memory = PrefixCache(config.prefix_megabytes << 20), DraftMemory()
        text = self.model.config.get_text_config()
        self.width, self.layers = int(text.hidden_size), int(text.num_hidden_layers)
        self.vocabulary = int(self.model.get_output_embeddings().weight.shape[0])
        limits = (config.max_length, getattr(text, "max_position_embeddings", None), window_of(text))
        self.max_length = min(int(limit) for limit in limits if limit)
        self._at_once = tokens_at_once(config, self.device)
        if found := [kind for kind in getattr(text, "layer_types", None) or () if any(r in kind for r in RECURRENT)]:
            raise ConfigError(
                f"the model has layers of the kind {found[0]}, whose states cannot be shared between prompts",
                where=config.model,
                fix="Use a model whose layers are attention alone.",
            )
        self.logits = Logits(self.model, self.decoder)

    @property
    def decoder(self) -> nn.Module:
        """The part that turns embeddings into hidden states."""
        found: nn.Module = self.model.get_decoder()
        return found

    @cached_property
    def end(self) -> int:
        """The token that ends the assistant's turn."""
        return int(self.tokenizer.eos_token_id)

    def forget(self) -> None:
        """Drop what was read by the weights: they have changed."""
        self.prefixes.clear()

    def embed(self, tokens: torch.Tensor, soft: SoftTokens | None = None) -> torch.Tensor:
        """[..., d] for int64[...]: word embeddings, and ``soft``'s vectors where a number is negative."""
        words = self.model.get_input_embeddings()(tokens.clamp_min(0))
        places = tokens < 0
        if not bool(places.any()):
            return torch.as_tensor(words)
        if soft is None:
            raise PluginError("a prompt has places for soft tokens, but there are none")
        out = words.clone()
        out[places] = soft.vectors(-1 - tokens[places]).to(words.dtype)
        return torch.as_tensor(out)

    def remember_requests(self, wanted: bool) -> None:
        """Whether texts that are read and written from now on are kept for the next ones."""
        self.prefixes.grows = self.memory.grows = wanted

    def read(self, prompts: Sequence[Prompt], soft: SoftTokens | None = None) -> Reading:
        """Read prompts side by side; what they have in count_common, or with what was read lately, is read once.

        Raises:
            ConfigError: a prompt is longer than the model reads.
        """
        tokens = [prompt.tokens for prompt in prompts]
        self.check_lengths(tokens)
        source = soft.key if soft is not None else ""
        with torch.inference_mode():
            shared, start, usage = self.find_beginning(tokens, source, soft)
            reading = Reading(
                make_cache(self.layers, start, len(tokens)),
                torch.ones(len(tokens), shared, dtype=torch.bool, device=self.device),
                torch.full((len(tokens),), shared, device=self.device),
                torch.zeros(len(tokens), self.width, dtype=self.dtype, device=self.device),
                [row[:shared].tolist() for row in tokens],
                usage,
            )
            self.advance(reading, [row[shared:].tolist() for row in tokens], soft)
        if len(tokens) == 1:
            self.prefixes.keep(tokens[0], source, view_layers(reading.cache, 0, len(tokens[0])))
        return reading

    def find_beginning(self, tokens: list[Int64], source: str, soft: SoftTokens | None) -> tuple[int, Any, Usage]:
        """How much of all texts is read by now, its states, and what reading it took; the rest is to be read."""
        shared = min(len(row) for row in tokens) - 1  # the last token is always read: its state is wanted
        for row in tokens[1:]:
            shared = min(shared, count_common(tokens[0], row))
        known, start = self.prefixes.find_longest(tokens[0][:shared], source)
        usage = Usage(reused=known * len(tokens))
        if len(tokens) == 1 or shared - known < WORTH_SHARING:
            return known, start, usage
        once = Reading(
            make_cache(self.layers, start),
            torch.ones(1, known, dtype=torch.bool, device=self.device),
            torch.full((1,), known, device=self.device),
            torch.zeros(1, self.width, dtype=self.dtype, device=self.device),
            [tokens[0][:known].tolist()],
        )
        self.advance(once, [tokens[0][known:shared].tolist()], soft)
        start = view_layers(once.cache, 0, shared)
        self.prefixes.keep(tokens[0][:shared], source, start)
        usage.add(Usage(read=shared - known, reused=(shared - known) * (len(tokens) - 1)))
        return shared, start, usage

    def advance(
        self,
        reading: Reading,
        rows: Sequence[Sequence[int]],
        soft: SoftTokens | None = None,
    ) -> None:
        """Read on, a list of tokens per text (lists may be of unlike length, or empty)."""
        if not max(map(len, rows)):
            return
        states, new = self.propose(reading, rows, soft)
        self.accept(reading, rows, states, new)

    def propose(
        self,
        reading: Reading,
        rows: Sequence[Sequence[int]],
        soft: SoftTokens | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read tokens that may be taken back: `accept` must follow, with all or the first of them.

        Returns:
            [B, Q, d] states and bool[B, Q], where a text's tokens stand: at the last places, padding before them.
        """
        tokens, new = left_padded(rows, self.device)
        most = tokens.shape[1]
        with torch.inference_mode():
            positions = (reading.lengths[:, None] + new.long().cumsum(1) - 1).clamp_min(0)
            whole = torch.cat([reading.seen, new], 1)
            mask = None if bool(whole.all()) and (most == 1 or not reading.places) else self.causal_mask(whole, most)
            states = self._forward(self.embed(tokens, soft), positions, mask, reading)
        return states, new

    def accept(self, reading: Reading, rows: Sequence[Sequence[int]], states: torch.Tensor, new: torch.Tensor) -> None:
        """Take what was proposed into the texts.

        Args:
            reading: as `propose` left it.
            rows: per text the tokens that it has now, the first of those proposed.
            states: as `propose` gave them.
            new: likewise.
        """
        counts = torch.tensor([len(row) for row in rows], device=self.device)
        kept = new & (new.long().cumsum(1) <= counts[:, None])
        last = states.shape[1] - new.sum(1) + counts - 1
        ends = states[torch.arange(len(rows), device=self.device), last.clamp_min(0)]
        reading.seen, reading.lengths = torch.cat([reading.seen, kept], 1), reading.lengths + counts
        reading.states = torch.where((counts > 0)[:, None], ends, reading.states)
        reading.usage.read += int(counts.sum())
        for text, row in zip(reading.texts, rows, strict=True):
            text.extend(row)

    def branch(
        self, reading: Reading, tokens: torch.Tensor, positions: torch.Tensor, sees: torch.Tensor
    ) -> torch.Tensor:
        """Read tokens that need not follow each other; how rows end is left as it is.

        Args:
            reading: of B texts, T places; grows by Q places, which count as unseen to what is read on later.
            tokens: int64[B, Q].
            positions: int64[B, Q], counted as if the text before them were all that there is.
            sees: bool[B, Q, T + Q]: which places each token may look at, itself among them.

        Returns:
            [B, Q, d] hidden states.
        """
        with torch.inference_mode():
            mask = torch.zeros(sees.shape, dtype=self.dtype, device=self.device)
            mask.masked_fill_(~sees, torch.finfo(self.dtype).min)
            states = self._forward(self.embed(tokens), positions, mask[:, None], reading)
        unseen = torch.zeros(tokens.shape, dtype=torch.bool, device=self.device)
        reading.seen = torch.cat([reading.seen, unseen], 1)
        reading.usage.read += tokens.numel()
        return states

    def padded(self, prompts: Sequence[Prompt]) -> tuple[torch.Tensor, torch.Tensor]:
        """int64[B, T] tokens and bool[B, T] which of them are text, for `hidden`; padding stands right."""
        self.check_lengths([prompt.tokens for prompt in prompts])
        return right_padded([prompt.tokens for prompt in prompts], self.device)

    def hidden(self, tokens: torch.Tensor, soft: SoftTokens | None = None) -> torch.Tensor:
        """[B, T, d]: hidden states of `padded` prompts, with gradients; nothing is shared or kept."""
        # What stands right of a text is not seen by it: no mask is needed.
        return torch.as_tensor(self.decoder(inputs_embeds=self.embed(tokens, soft), use_cache=False).last_hidden_state)

    def states(self, prompts: Sequence[Prompt], soft: SoftTokens | None = None) -> torch.Tensor:
        """float32[n, d]: the last hidden state of each prompt, of any number of them, on the CPU."""
        out = torch.empty(len(prompts), self.width)
        for rows in self.groups([len(prompt) for prompt in prompts]):
            out[rows] = self.read([prompts[row] for row in rows], soft).states.float().cpu()
        return out

    def groups(self, lengths: Sequence[int]) -> list[list[int]]:
        """Rows of like length together, so that few places are padding and memory stays bounded."""
        return grouped(lengths, self._at_once)

    def _forward(
        self,
        embedded: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        reading: Reading,
    ) -> torch.Tensor:
        out = self.decoder(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=reading.cache,
            use_cache=True,
        )
        return torch.as_tensor(out.last_hidden_state)

    def causal_mask(self, seen: torch.Tensor, new: int) -> torch.Tensor:
        """[B, 1, new, T]: what each of the last ``new`` places may look at; 0 or the lowest number."""
        places = seen.shape[1]
        earlier = torch.ones(new, places, dtype=torch.bool, device=self.device).tril(places - new)
        mask = torch.zeros(len(seen), new, places, dtype=self.dtype, device=self.device)
        return mask.masked_fill_(~(earlier & seen[:, None, :]), torch.finfo(self.dtype).min)[:, None]

    def check_lengths(self, tokens: Sequence[Int64]) -> None:
        """Refuse what is too long or empty."""
        longest = max(map(len, tokens))
        if longest > self.max_length:
            raise ConfigError(
                f"a prompt has {longest} tokens, but the model reads only {self.max_length}",
                where=self.config.model,
                fix="Show a shorter history, fewer candidates or shorter titles, or raise max_length if the model can.",
            )
        if not min(map(len, tokens)):
            raise WeightsError("a prompt is empty", where=self.config.model)
