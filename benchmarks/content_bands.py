"""What each frequency band of a fitted `ssr` is worth: its share of what items say, and what is lost without it.

    python benchmarks/content_bands.py hm-week-random --set '{"training": {"epochs": 20}}' --data ../shared/data

The protocol is that of benchmarks/models.py (see `model_protocols`), and so is the training: one that it did with the
same ``--work`` and settings is taken up, not done again. A band's share is that of the squared length of the mapped
bands, averaged over the modalities, as they are added up. Without a band: its mapped features are 0 (nothing is
trained again). Validation queries alone; intervals are 95 %, by resampled queries.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model_protocols import prepare
from reasonrec_graph.content import ContentNetwork
from reasonrec_graph.network import GraphNetwork
from reasonrec_graph.ssr import SSR, SpectralContent

from reasonrec_core.io import content_hash

DRAWS = 2000
METRICS = ("Recall@20", "Recall@20 rare items")


class OpenSSR(SSR):
    """Keeps its network, so that bands can be taken out."""

    network: ContentNetwork[Any, SpectralContent]

    def keep(self, network: GraphNetwork) -> None:
        """The network, too."""
        super().keep(network)
        assert isinstance(network, ContentNetwork)
        self.network = network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--set", type=json.loads, default={}, help="settings of ssr, as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reasonrec")
    parser.add_argument("--work", type=Path, default=Path("runs/models"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench = prepare(options.dataset, options.data, options.cache, content=True)
    delegate = OpenSSR(SSR.Config(**options.set))
    OpenSSR.__name__ = SSR.__name__  # by which a training that was done is found
    folder = options.work / content_hash(options.dataset, "ssr", options.seed, options.set)
    delegate.fit(replace(bench.fit, seed=options.seed, workdir=folder))
    network = delegate.network
    content, shares = network.content, measure_shares(network)
    whole = bench.score(delegate, "valid").per_query
    print("all bands: " + ", ".join(f"{name} {np.nanmean(whole[name]):.4f}" for name in METRICS))
    for band, share in enumerate(shares):
        borders = ", ".join(f"{low:+.2f} to {high:+.2f}" for low, high in content.edges[:, band : band + 2].tolist())
        kept = [weights.data[band].clone() for weights in content.maps]
        for weights in content.maps:
            weights.data[band] = 0
        network.weights_changed()
        delegate.keep(network)
        without = bench.score(delegate, "valid").per_query
        found = ", ".join(compare(name, without[name] - whole[name]) for name in METRICS)
        print(f"band {band + 1} (frequencies less 1: {borders}): share {share:.1%}; without it {found}", flush=True)
        for weights, values in zip(content.maps, kept, strict=True):
            weights.data[band] = values


@torch.no_grad()
def measure_shares(network: ContentNetwork[Any, SpectralContent]) -> list[float]:
    """Of the squared lengths of the mapped bands, each band's."""
    bands = torch.stack(network.content.views(network.prepared)).mean(0)
    energy = bands.square().sum((1, 2))
    return [float(share) for share in energy / energy.sum()]


def compare(name: str, gap: np.ndarray[Any, Any]) -> str:
    """A mean difference and its interval."""
    gap, rng = gap[~np.isnan(gap)], np.random.default_rng(0)
    low, high = np.quantile([gap[rng.integers(0, len(gap), len(gap))].mean() for _ in range(DRAWS)], (0.025, 0.975))
    return f"{name} {gap.mean():+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
