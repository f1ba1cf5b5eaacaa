"""One history through the encoder of `chain`: torch, onnxruntime and arrays, one thread each.

python -m pip install onnx onnxruntime onnxscript
python benchmarks/encoder_arrays.py [--share 0.3] [--refinements 2]

Weights are drawn, as they do not change how long it takes; sizes are the defaults of `chain`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reasonrec_torch.encoder_arrays import HistoryArrays, make_low_pass
from reasonrec_torch.history_encoder import HistoryEncoder
from reasonrec_torch.parameters import read_parameters
from torch import Tensor, nn

DIMENSIONS, HEADS, LAYERS, LONGEST, FREQUENCIES = 96, 3, 2, 50, 3
ROUNDS = 400


class LastState(nn.Module):
    """The state after a history, as one request needs it."""

    def __init__(self, encoder: HistoryEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, at: Tensor) -> Tensor:
        """float[1, d] of float[1, L, d] at int64[1]."""
        return self.encoder.last(x, at)


def main() -> None:
    """Export, compare, print a row per length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.0, help="Of the frequency filter.")
    parser.add_argument("--refinements", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sizes = (DIMENSIONS, HEADS, LAYERS, 0.0, LONGEST, FREQUENCIES, given.share, given.refinements)
    model = LastState(HistoryEncoder(*sizes).eval())
    session = export(model)
    first, second = (each.name for each in session.get_inputs())
    arrays = make_arrays(model.encoder, given.share)
    print("| history | torch, ms (p95) | onnxruntime, ms (p95) | arrays, ms (p95) | largest difference |")
    print("|---|---|---|---|---|")
    for length in (2, 10, 50):
        x, at = torch.randn(1, length, DIMENSIONS).numpy(), np.array([length - 1])
        asked = {first: x, second: at}
        with torch.inference_mode():
            wanted = model(torch.from_numpy(x), torch.from_numpy(at)).numpy()
            ours = clock(lambda x=x, at=at: model(torch.from_numpy(x), torch.from_numpy(at)).numpy())  # type: ignore[misc]
        theirs = clock(lambda asked=asked: session.run(None, asked))  # type: ignore[misc]
        mine = clock(lambda x=x, at=at: arrays.last(x, at))  # type: ignore[misc]
        others = (session.run(None, asked)[0], arrays.last(x, at))
        print(f"| {length} | {ours} | {theirs} | {mine} | {max(np.abs(each - wanted).max() for each in others):.1e} |")


def make_arrays(encoder: HistoryEncoder, share: float) -> HistoryArrays:
    """The same encoder without torch."""
    low = make_low_pass(LONGEST, FREQUENCIES) if share else None
    return HistoryArrays(read_parameters(encoder), HEADS, LAYERS, share, low)


def export(model: nn.Module) -> Any:
    """A session of onnxruntime that takes histories of any length."""
    import onnxruntime

    example = (torch.randn(1, 10, DIMENSIONS), torch.tensor([9]))
    lengths = torch.export.Dim("length", min=2, max=LONGEST)
    program = torch.onnx.export(model, example, dynamic_shapes=({1: lengths}, None), dynamo=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.onnx"
        assert program is not None
        program.save(path)
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def clock(work: Callable[[], object]) -> str:
    """Median and 95th percentile of a call, in milliseconds of processor time."""
    for _ in range(30):
        work()
    times = np.empty(ROUNDS)
    for at in range(ROUNDS):
        begin = time.thread_time()
        work()
        times[at] = 1000 * (time.thread_time() - begin)
    return f"{np.median(times):.2f} ({np.percentile(times, 95):.2f})"


if __name__ == "__main__":
    main()
