"""Customers: whose taste likes what, and what they choose, one after the other, by known probabilities."""

from __future__ import annotations

import numpy as np

from reasonrec_core.types import Float32, Int64
from reasonrec_datasets.synth.config import SynthConfig
from reasonrec_datasets.synth.ground_truth import START, YEAR, Truth
from reasonrec_datasets.synth.items import BLOCKS, Shop

SHORTEST, LONGEST = 3, 1000


def draw_truth(config: SynthConfig, shop: Shop, rng: np.random.Generator) -> Truth:
    """The parameters: sparse likes per customer, an appeal, a launch day and a season per item."""
    weights = {
        "pattern": config.image_weight,
        "palette": config.image_weight * config.minor,
        "theme": config.text_weight,
        "material": config.text_weight * config.minor,
        "category": config.category_weight,
    }
    taste = [_likes(config.users, len(values), weights[name], rng) for name, _, values in BLOCKS]
    launch = np.full(config.items, START, np.int64)
    later = rng.random(config.items) < config.launched_later
    launch[later] += rng.integers(0, int(0.9 * YEAR), int(later.sum()))
    themes = len(BLOCKS[2][2])
    return Truth(
        np.array([f"U{number:06d}" for number in rng.choice(900_000, config.users, replace=False) + 100_000]),
        np.array(shop.ids),
        np.concatenate(taste, axis=1),
        shop.attributes,
        (config.appeal * rng.standard_normal(config.items)).astype(np.float32),
        launch,
        (2 * np.pi * shop.values["theme"] / themes).astype(np.float32),
        np.float32(config.season),  # type: ignore[arg-type]
    )


def _likes(users: int, values: int, weight: float, rng: np.random.Generator) -> Float32:
    """float32[users, values]: one value liked wholly, a second one three quarters as much, the others not at all."""
    order = np.argsort(rng.random((users, values)), axis=1)
    liked = np.zeros((users, values), np.float32)
    rows = np.arange(users)
    liked[rows, order[:, 0]] = weight
    liked[rows, order[:, 1]] = 0.75 * weight
    return liked


def choose(config: SynthConfig, truth: Truth, rng: np.random.Generator) -> tuple[Int64, Int64, Int64]:
    """Draw every customer's choices: int64[N] users, items, times, sorted by time.

    Each choice is drawn from P (see `truth`) at its moment, among what the customer has not chosen before.
    """
    drawn = rng.geometric(1 / (config.mean_length - SHORTEST + 1), config.users)
    lengths = np.minimum(SHORTEST + drawn - 1, LONGEST)
    lengths = np.minimum(lengths, max(SHORTEST, config.items // 4))
    moments = _moments(lengths, rng)
    taken = np.zeros((config.users, config.items), np.bool_)
    chosen: list[tuple[Int64, Int64, Int64]] = []
    for step in range(int(lengths.max())):
        users = np.flatnonzero(lengths > step)
        times = moments[users, step]
        utility = truth.utilities(users, times)
        utility[taken[users]] = -np.inf
        # Adding Gumbel noise and taking the best draws from the softmax of the utilities.
        items = np.argmax(utility + rng.gumbel(size=utility.shape).astype(np.float32), axis=1)
        taken[users, items] = True
        chosen.append((users, items, times))
    users, items, times = (np.concatenate(column) for column in zip(*chosen, strict=True))
    order = np.lexsort((users, times))
    return users[order], items[order], times[order]


def _moments(lengths: Int64, rng: np.random.Generator) -> Int64:
    """int64[n_users, longest]: strictly rising seconds, from a day on which the customer joins to the year's end."""
    longest = int(lengths.max())
    joined = rng.uniform(0, 0.8, (len(lengths), 1))
    share = rng.random((len(lengths), longest))
    share[np.arange(longest) >= lengths[:, None]] = 1.0  # not used; kept behind the others
    moments = np.sort(joined + (1 - joined) * share, axis=1) * (YEAR - 100) + START
    rising: Int64 = moments.astype(np.int64) + np.arange(longest)
    return rising
