"""How long `cot` takes to think in words, beside transformers' own generation with prompt look-up.

    python benchmarks/cot_writing.py ml-100k --requests 4 --layers 4

Requests as `examples/movielens-cot.toml` asks them, with thoughts of at most 100 tokens before each answer: reading,
writing and ending the thoughts, one thread, seconds of the processor. The language model is untuned. transformers
looks up what followed in one prompt at a time alone; several texts at once it writes without.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import reasonrec_cot.thought_writer as thought_writer
import torch
from profile_policy import prepare
from reasonrec_cot.backbone.generate import Generated, generate
from reasonrec_cot.backbone.kv_cache import Reading, shorten
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.prompt_lookup import DraftMemory
from reasonrec_cot.config import BackboneConfig, CotConfig, ThoughtConfig
from reasonrec_cot.engine import Engine
from transformers import StoppingCriteria, StoppingCriteriaList

LOOKED_UP = 8


class Stops(StoppingCriteria):
    """Ends a text that has written one of ``stops``; transformers' own takes a third of the time."""

    def __init__(self, backbone: Backbone, stops: Sequence[str], start: int) -> None:
        self.tokenizer, self.stops, self.start = backbone.tokenizer, stops, start

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        """bool[B]."""
        ends = [self.tokenizer.decode(row) for row in ids[:, max(self.start, ids.shape[1] - 24) :].tolist()]
        return torch.tensor([any(stop in end for stop in self.stops) for end in ends], device=ids.device)


@torch.inference_mode()
def generate_by_transformers(
    backbone: Backbone, reading: Reading, most: int, stops: Sequence[str] = ()
) -> list[Generated]:
    """The same as `generate`, by ``model.generate``; what was written is then read on."""
    rows, places = len(reading), reading.places
    ids = torch.zeros(rows, places, dtype=torch.long)
    ids[reading.seen.cpu()] = torch.tensor([token for text in reading.texts for token in text]).clamp_min(0)
    shorten(reading.cache, places - 1)  # generation begins with a token that is not read yet
    written = backbone.model.generate(
        input_ids=ids,
        attention_mask=reading.seen.long(),
        past_key_values=reading.cache,
        max_new_tokens=most,
        do_sample=False,
        stopping_criteria=StoppingCriteriaList([Stops(backbone, stops, places)]),
        eos_token_id=backbone.end,
        pad_token_id=backbone.end,
        **({"prompt_lookup_num_tokens": LOOKED_UP} if rows == 1 else {}),
    )
    shorten(reading.cache, places)
    found = []
    for tokens in written[:, places:].tolist():
        own = tokens[: tokens.index(backbone.end)] if backbone.end in tokens else tokens
        text = backbone.tokenizer.decode(own)
        if ends := [text.index(stop) + len(stop) for stop in stops if stop in text]:
            text = text[: min(ends)]
            own = backbone.tokenizer(text, add_special_tokens=False)["input_ids"]
        found.append(Generated(own, text, stopped=bool(ends) or backbone.end in tokens))
    backbone.advance(reading, [each.tokens for each in found])
    count = sum(len(each.tokens) for each in found)
    reading.usage.read, reading.usage.written = reading.usage.read - count, reading.usage.written + count
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--requests", type=int, default=4)
    parser.add_argument("--layers", type=int, default=None)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    given = parser.parse_args()
    torch.set_num_threads(1)
    bench = prepare(given.dataset, given.data, given.cache, 0)
    backbone = Backbone(BackboneConfig(layers=given.layers, precision=given.precision))
    config = CotConfig(thought=ThoughtConfig(observe=40, deliberate=60))
    engine = Engine(config, backbone, bench.dataset.catalog)
    batch = bench.split.test.queries.slice(0, given.requests)
    prompts = [engine.tokeniser.prompt(dialogue) for dialogue in engine.build_dialogues(batch)]
    print("| at once | by | seconds of the processor | tokens written |\n|---|---|---|---|")
    for at_once in (1, given.requests):
        for name, write in (("cot", generate), ("transformers", generate_by_transformers)):
            vars(thought_writer)["generate"] = write  # no setting says so
            backbone.forget()
            backbone.memory, started, written = DraftMemory(), time.process_time(), 0
            for start in range(0, len(prompts), at_once):
                reading, _ = engine.thought_writer.write_thoughts(prompts[start : start + at_once], None)
                written += reading.usage.written
            print(f"| {at_once} | {name} | {time.process_time() - started:.1f} | {written} |", flush=True)


if __name__ == "__main__":
    main()
