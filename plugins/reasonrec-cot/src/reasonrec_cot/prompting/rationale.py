"""Rationales to learn from: why the target follows, told from the history items that bear on it.

OneRec-Think (Liu et al., 2025, stage 2): the rationale is conditioned on the target and made from the pruned history;
the policy is then trained to write it given the raw history. It never names the target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from reasonrec_core.components import Settings
from reasonrec_core.types import Bool, Float32, History, Int32, Step, StepKind
from reasonrec_cot.prompting.dialogue import Thought
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.relevance import Relevance, prune
from reasonrec_cot.prompting.templates import Phrases, load_phrases
from reasonrec_cot.prompting.title_leak import TitleLeak

SILENT = "-"
"""What is written where every way to say a part would tell the target."""
CLAIM_CHARACTERS = 120


class RationaleSettings(Settings):
    """How a rationale is made."""

    evidence: int = Field(default=4, ge=1, le=50)
    """History items that it names."""
    labels: int = Field(default=3, ge=1, le=20)
    """Labels that it names."""
    claims: int = Field(default=2, ge=0, le=10)
    """Inferred steps of another policy that it repeats."""


class RationaleBuilder:
    """Makes a thought for each query whose target is known.

    Args:
        items: words of the items.
        relevance: which history items bear on a target.
        settings: sizes.
        phrases: ways to say things.
        seed: of the choice among them; the same query and seed give the same thought, whatever is asked beside it.
    """

    def __init__(
        self,
        items: ItemWords,
        relevance: Relevance,
        settings: RationaleSettings | None = None,
        phrases: Phrases | None = None,
        seed: int = 0,
    ) -> None:
        self.items, self.relevance, self.seed = items, relevance, seed
        self.settings = settings or RationaleSettings()
        self.phrases = phrases if phrases is not None else load_phrases()

    def build(
        self,
        history: History,
        targets: Int32,
        horizon: Float32 | None = None,
        steps: Sequence[Sequence[Step]] | None = None,
    ) -> list[Thought]:
        """B thoughts; nothing but each row's history and its target is looked at.

        Args:
            history: B rows, as long as the prompt shows them (`PromptSettings.history`): a thought counts what is seen.
            targets: int32[B].
            horizon: float32[B] evidence horizon, None where it is not to be told.
            steps: another policy's steps for each query (as `chain` gives them); of these only what was inferred
                about labels is used, and no claim that names the target.
        """
        kept = prune(history, self.relevance.score(history, targets), self.settings.evidence)
        thoughts = []
        for row, target in enumerate(targets.tolist()):
            low, high = (int(bound - history.indptr[0]) for bound in history.indptr[row : row + 2])
            known = None if horizon is None else float(horizon[row])
            thoughts.append(self._one(history.row(row), kept[low:high], target, known, steps[row] if steps else ()))
        return thoughts

    def _one(self, history: Int32, kept: Bool, target: int, horizon: float | None, steps: Sequence[Step]) -> Thought:
        items = history.tolist()
        generator = np.random.default_rng([self.seed, target, len(items), *items[-3:]])
        writer = _Writer(self.phrases, TitleLeak([self.items.raw_title(target), self.items.title(target)]), generator)
        if not items:
            return Thought(writer.join([writer.write("empty")]), writer.join([writer.write("nothing")]))
        observe = writer.join(self._seen(items, writer))
        positions = [int(p) for p in np.flatnonzero(kept) if not writer.title_leak.leaks(self.items.title(items[p]))]
        shared = self._shared([items[p] for p in positions], target, writer)
        said = []
        if positions and shared:
            said.append(writer.write("preference", titles=", ".join(self.items.quoted(items[p]) for p in positions)))
            said.append(writer.write("match", labels=", ".join(shared)))
            support = sum(bool(set(shared) & self._all_labels(item)) for item in items)
            far = "unknown" if horizon is None else f"{horizon:.2f}"
            said.append(writer.write("evidence", support=str(support), count=str(len(items)), horizon=far))
        else:
            said.append(writer.write("nothing"))
        said.append(self._claims(steps, writer))
        return Thought(observe, writer.join(said), tuple(positions))

    def _seen(self, items: list[int], writer: _Writer) -> list[str]:
        count, counts = str(len(items)), Counter(label for item in items for label in self._all_labels(item))
        often = sorted((label for label, n in counts.items() if n > 1), key=lambda label: (-counts[label], label))
        often = [label for label in often if not writer.title_leak.leaks(label)][: self.settings.labels]
        said = [writer.write("recent", count=count, last=self.items.quoted(items[-1]))]
        if often:
            recurring = ", ".join(f"{label} ({counts[label]} of {count})" for label in often)
            said.append(writer.write("recurs", labels=recurring))
        return said

    def _shared(self, evidence: list[int], target: int, writer: _Writer) -> list[str]:
        """Labels of the target that the evidence has, the most frequent there first."""
        counts = Counter(label for item in evidence for label in self._all_labels(item))
        shared = [label for label in self._all_labels(target) if counts[label] and not writer.title_leak.leaks(label)]
        return sorted(shared, key=lambda label: (-counts[label], label))[: self.settings.labels]

    def _all_labels(self, item: int) -> set[str]:
        return {label for field in self.items.fields for label in self.items.labels(item, field)}

    def _claims(self, steps: Sequence[Step], writer: _Writer) -> str:
        inferred = sorted((s for s in steps if s.kind is StepKind.INFER), key=lambda s: -s.weight)
        claims = [self.items.sanitiser.clean(s.claim, CLAIM_CHARACTERS) for s in inferred]
        left = [claim for claim in claims if claim and not writer.title_leak.leaks(claim)][: self.settings.claims]
        return writer.write("inferred", claims=", ".join(left)) if left else ""


class _Writer:
    """Says things in one of the ways that do not tell the target."""

    def __init__(self, phrases: Phrases, title_leak: TitleLeak, generator: np.random.Generator) -> None:
        self.phrases, self.title_leak, self.generator = phrases, title_leak, generator

    def write(self, key: str, **slots: str) -> str:
        """One of the ways, drawn; "" where each of them would tell."""
        ways = self.phrases[key]
        first = int(self.generator.integers(len(ways)))
        said = (way.format(**slots) for way in (*ways[first:], *ways[:first]))
        return next((text for text in said if not self.title_leak.leaks(text)), "")

    def join(self, sentences: Sequence[str]) -> str:
        """The sentences that there are; joining them must not tell either."""
        whole = " ".join(sentence for sentence in sentences if sentence)
        if self.title_leak.leaks(whole):
            whole = next((s for s in sentences if s), "")
        return whole or SILENT
