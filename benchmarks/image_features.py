"""Images per second through EfficientNet-Lite0: batches of 64 as one would write it first, and as the plugin does it.

    python benchmarks/image_features.py ../shared/data/hm-week/images --out benchmarks/results/image_features.json

Preprocessing included, decoding not. ``per processor second`` does not suffer from what else the machine is doing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from reasonrec_timm import model as plugin
from reasonrec_timm.encoder import TimmConfig, TimmEncoder


def plain(model: plugin.ImageModel, images: list[Image.Image], size: int) -> np.ndarray:
    """One batch after the other, the usual memory layout, torch's own threads."""
    net = model.model.to(memory_format=torch.contiguous_format)
    out = []
    with torch.inference_mode():
        for start in range(0, len(images), size):
            pixels = torch.stack([model.transform(image) for image in images[start : start + size]])
            out.append(torch.nn.functional.normalize(net(pixels), dim=1).numpy())
    return np.concatenate(out)


def measured(encode: Callable[[], np.ndarray], count: int, repeats: int) -> tuple[dict[str, float], np.ndarray]:
    encode()
    best: dict[str, float] = {}
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        vectors = encode()
        told = {
            "per second": count / (time.perf_counter() - wall),
            "per processor second": count / (time.process_time() - processor),
        }
        best = {key: round(max(value, best.get(key, 0.0)), 1) for key, value in told.items()}
    return best, vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    files = list(islice(sorted(args.images.glob("*.jpg")), args.count))
    images = [Image.open(file).convert("RGB") for file in files]
    told: dict[str, object] = {}
    results = {}
    ways = (("plain, 64 at once", "float32"), ("plugin", "float32"), ("plugin, bfloat16", "bfloat16"))
    for name, dtype in ways:
        encoder = TimmEncoder(TimmConfig.model_validate({"dtype": dtype, "device": "cpu"}))
        model = encoder._model
        run = (
            (lambda e=encoder: e.encode(images))
            if name.startswith("plugin")
            else (lambda m=model: plain(m, images, 64))
        )
        told[name], results[name] = measured(run, len(images), args.repeats)
        print(name, told[name], flush=True)
    first = results["plain, 64 at once"]
    told["least cosine to plain"] = {name: round(float((first * v).sum(1).min()), 5) for name, v in results.items()}
    told |= {
        "images": len(images),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "date": datetime.now(UTC).date().isoformat(),
    }
    print(json.dumps(told, indent=2))
    if args.out:
        args.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
