"""Written answers: titles decoded through a tree of all titles, so that no other text can be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from reasonrec_core.types import Bool, Float32, Int64, QueryBatch
from reasonrec_cot.answers.answerer import ItemScores, allowed
from reasonrec_cot.answers.tree_attention import TokenTrie
from reasonrec_cot.backbone.kv_cache import Reading
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser
from reasonrec_cot.prompting.output_grammar import closing


@dataclass
class _Beam:
    """A title in the making.

    Attributes:
        node: in the tree.
        logprob: of the choices so far.
        row: of the text that it answers.
        unread: the nodes on its way that the model has not read.
        sees: the places of its own tokens, beyond those of the text.
    """

    node: int
    logprob: float
    row: int
    unread: tuple[int, ...] = ()
    sees: tuple[int, ...] = ()


class ConstrainedDecoder:
    """Writes titles: at every step only tokens that lead to an allowed item can be chosen (RecLM-cgen, 2024).

    Where titles part, the model's probabilities are normalised over the ways that are open; where only one way is
    open nothing is asked. So P(item) is the product of its choices, and sums to 1 over the allowed items. A beam
    search keeps the ``beams`` likeliest; an item is found once, at the end of its own title. What shares a token
    sequence (a tokenizer may drop what tells two names apart) shares its probability.

    Args:
        backbone: the model.
        tokeniser: its tokens.
        names: per item of the catalogue, all different.
        beams: titles in the making per query.
    """

    def __init__(self, backbone: Backbone, tokeniser: DialogueTokeniser, names: Sequence[str], beams: int = 10) -> None:
        self.backbone, self.beams = backbone, beams
        end = tokeniser.text(closing("answer"))[0]
        self.trie = TokenTrie.of([[*tokeniser.text(name), end] for name in names])

    @property
    def n_items(self) -> int:
        """Items in the catalogue."""
        return len(self.trie.ends)

    @torch.inference_mode()
    def answer(self, reading: Reading, batch: QueryBatch) -> ItemScores:
        """Score the items that the search found; all others have -inf."""
        free = allowed(batch, self.n_items)
        columns = _columns(batch, free, self.n_items)
        places = reading.places
        beams, open_to = [], []
        for row, found in enumerate(columns):
            may = np.zeros(self.n_items, np.bool_)
            may[found >= 0] = True
            open_to.append(self.trie.open_to(may))
            if may.any():
                beams.append(self._follow_edges(_Beam(0, 0.0, row), open_to[row]))
        done, beams = self._end_beams(beams)
        while beams:
            ways = self._extend_beams(beams, self._read_beams(beams, reading), open_to)
            done, beams = self._end_beams(self._keep_best([*done, *ways]))
        reading.rewind(places)
        return self._answer(done, columns, free, batch)

    def _extend_beams(self, beams: list[_Beam], states: torch.Tensor, open_to: list[Int64]) -> list[_Beam]:
        """Every open continuation of every beam, up to where it parts again."""
        logits = self.backbone.logits(states)
        ways = []
        for beam, row in zip(beams, logits, strict=True):
            children = self.trie.children(beam.node)
            children = children[open_to[beam.row][children] > 0]
            tokens = torch.from_numpy(self.trie.tokens[children]).to(row.device)
            gains = row[tokens].double().log_softmax(0).tolist()
            for child, gain in zip(children.tolist(), gains, strict=True):
                way = _Beam(child, beam.logprob + gain, beam.row, (child,), beam.sees)
                ways.append(self._follow_edges(way, open_to[beam.row]))
        return ways

    def _end_beams(self, beams: list[_Beam]) -> tuple[list[_Beam], list[_Beam]]:
        """Those at their title's end, and the others."""
        inner = self.trie.inner
        return [b for b in beams if not inner[b.node]], [b for b in beams if inner[b.node]]

    def _follow_edges(self, beam: _Beam, open_to: Int64) -> _Beam:
        """The beam at the next place where there is a choice, or at its title's end."""
        while self.trie.inner[beam.node]:
            children = self.trie.children(beam.node)
            children = children[open_to[children] > 0]
            if len(children) > 1:
                break
            beam.node = int(children[0])
            beam.unread = (*beam.unread, beam.node)
        return beam

    def _keep_best(self, ways: list[_Beam]) -> list[_Beam]:
        """The likeliest of each row."""
        rows: dict[int, list[_Beam]] = {}
        for beam in ways:
            rows.setdefault(beam.row, []).append(beam)
        return [
            beam for found in rows.values() for beam in sorted(found, key=lambda b: (-b.logprob, b.node))[: self.beams]
        ]

    def _read_beams(self, beams: list[_Beam], reading: Reading) -> torch.Tensor:
        """[beams, d]: read what beams have not read; a token sees its text and its own beam's tokens."""
        if not any(beam.unread for beam in beams):
            return reading.states[[beam.row for beam in beams]]
        width = int(np.bincount([b.row for b in beams], [len(b.unread) for b in beams]).max())
        places, device = reading.places, self.backbone.device
        tokens = np.zeros((len(reading), width), np.int64)
        depths = np.ones((len(reading), width), np.int64)
        sees = torch.zeros(len(reading), width, places + width, dtype=torch.bool)
        sees[:, :, places:] = torch.eye(width, dtype=torch.bool)
        text, filled, at = reading.seen.cpu(), np.zeros(len(reading), np.int64), []
        for beam in beams:
            for node in beam.unread:
                column = int(filled[beam.row])
                filled[beam.row] += 1
                tokens[beam.row, column], depths[beam.row, column] = self.trie.tokens[node], self.trie.depths[node]
                sees[beam.row, column, :places] = text[beam.row]
                sees[beam.row, column, list(beam.sees)] = True
                beam.sees = (*beam.sees, places + column)
            at.append(beam.sees[-1] - places if beam.unread else width)  # a choice at the very start: nothing to read
            beam.unread = ()
        positions = reading.lengths[:, None] + torch.from_numpy(depths).to(device) - 1
        states = self.backbone.branch(reading, torch.from_numpy(tokens).to(device), positions, sees.to(device))
        reading.usage.read -= tokens.size
        reading.usage.written += int(filled.sum())
        states = torch.cat([states, reading.states[:, None]], 1)
        return states[[beam.row for beam in beams], at]

    def _answer(self, done: list[_Beam], columns: list[Int64], free: Bool, batch: QueryBatch) -> ItemScores:
        scores = np.full(free.shape, -np.inf, np.float32)
        items_at: dict[int, list[int]] = {}
        for item in np.flatnonzero(np.isin(self.trie.ends, [beam.node for beam in done])):
            items_at.setdefault(int(self.trie.ends[item]), []).append(int(item))
        for beam in done:
            found = [columns[beam.row][item] for item in items_at[beam.node] if columns[beam.row][item] >= 0]
            scores[beam.row, found] = beam.logprob - np.log(len(found))
        mass: Float32 = np.exp(scores.astype(np.float64)).astype(np.float32)
        return ItemScores(scores, mass)


def _columns(batch: QueryBatch, free: Bool, n_items: int) -> list[Int64]:
    """Per query int64[n_items]: the column of an item that may be answered, -1 for the others."""
    columns = []
    for row, may in enumerate(free):
        found = np.full(n_items, -1, np.int64)
        at = np.flatnonzero(may)
        found[at if batch.candidates is None else batch.candidates[row, at]] = at
        columns.append(found)
    return columns
