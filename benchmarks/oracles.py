"""Neural delegates beside other people's code: with the same weights they must give the same numbers.

    pip install --no-deps --target ORACLES torch_geometric xxhash deepctr-torch recbole colorlog tabulate thop
    pip install --no-deps --target ORACLES texttable tensorboard protobuf absl-py pytz
    PYTHONPATH=ORACLES python benchmarks/oracles.py

The packages lie in a folder of their own, because recbole asks for versions that do not resolve beside ours. Weights
are drawn at random, all of them, so that no part is 0. Writes benchmarks/results/oracles.md.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from reasonrec_fields.config import DCNv2Config, FieldConfig, XDeepFMConfig
from reasonrec_fields.network import DCNv2Network, XDeepFMNetwork
from reasonrec_graph.graph import Graph, propagate
from reasonrec_sequence.config import AttentionConfig, LightSANsConfig
from reasonrec_sequence.encoders import AttentionEncoder, InterestLayer
from torch import Tensor, nn

from reasonrec_core.io import write_text

RESULT = Path(__file__).parent / "results" / "oracles.md"
BOUND = 1e-5
SIZES: dict[str, Any] = {"dimensions": 64, "layers": 2, "max_history": 50, "dropout": 0.2, "heads": 2}


def randomise(module: nn.Module) -> None:
    """Draw every parameter."""
    torch.manual_seed(1)
    for value in module.parameters():
        value.data = torch.randn_like(value) * 0.3


def compare_lightgcn() -> tuple[Tensor, Tensor]:
    """Vectors of 300 users and 200 items after three layers."""
    from torch_geometric.nn.models import LightGCN

    rng = np.random.default_rng(0)
    users, items = np.unique(np.stack([rng.integers(0, 300, 4000), rng.integers(0, 200, 4000)]), axis=1)
    other = LightGCN(500, 64, 3)
    start = other.embedding.weight.detach()
    edges = torch.from_numpy(np.stack([np.concatenate([users, items + 300]), np.concatenate([items + 300, users])]))
    ours = torch.cat(propagate(start[:300], start[300:], Graph(users, items, 300, 200).blocks(), 3))
    return ours, other.get_embedding(edges)


def compare_sasrec() -> tuple[Tensor, Tensor]:
    """Scores of 400 items for 30 histories of 1 to 50 items."""
    from recbole.model.sequential_recommender.sasrec import SASRec

    config = {
        "USER_ID_FIELD": "user", "ITEM_ID_FIELD": "item", "LIST_SUFFIX": "s", "ITEM_LIST_LENGTH_FIELD": "n",
        "NEG_PREFIX": "neg", "MAX_ITEM_LIST_LENGTH": 50, "device": "cpu", "n_layers": 2, "n_heads": 2,
        "hidden_size": 64, "inner_size": 256, "hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.2,
        "hidden_act": "gelu", "layer_norm_eps": 1e-5, "initializer_range": 0.02, "loss_type": "CE",
    }  # fmt: skip
    other = SASRec(config, SimpleNamespace(num=lambda _: 401)).eval()
    encoder = AttentionEncoder(AttentionConfig(**SIZES)).eval()
    randomise(encoder)
    put_sasrec(encoder, other)
    rng, lengths = np.random.default_rng(0), np.arange(1, 31) * 50 // 30
    history = torch.zeros(30, 50, dtype=torch.long)
    for row, length in enumerate(lengths):
        history[row, :length] = torch.from_numpy(rng.integers(1, 401, length))
    table = other.item_embedding.weight.detach()
    states = encoder.last(table[history] * (history > 0)[..., None], torch.from_numpy(lengths) - 1)
    asked = {"items": history, "n": torch.from_numpy(lengths)}
    return (states @ table.T)[:, 1:], other.full_sort_predict(asked)[:, 1:]


def put_sasrec(encoder: AttentionEncoder, other: Any) -> None:
    """Give RecBole's network our weights."""
    read: Any = encoder.histories
    other.position_embedding.weight.data = read.positions.data
    other.LayerNorm.load_state_dict(read.norm.state_dict())
    for ours, theirs in zip(read.layers, other.trm_encoder.layer, strict=True):
        look, think = theirs.multi_head_attention, theirs.feed_forward
        parts = zip(ours.attention.inward.weight.chunk(3), ours.attention.inward.bias.chunk(3), strict=True)
        for linear, (weight, bias) in zip((look.query, look.key, look.value), parts, strict=True):
            linear.weight.data, linear.bias.data = weight.data, bias.data
        for target, source in (
            (look.dense, ours.attention.outward), (look.LayerNorm, ours.first), (think.dense_1, ours.widen),
            (think.dense_2, ours.narrow), (think.LayerNorm, ours.second),
        ):  # fmt: skip
            target.load_state_dict(source.state_dict())


def compare_interests() -> tuple[Tensor, Tensor]:
    """LightSANs: the keys of 30 rows of 50 positions, summed up to 5."""
    from recbole.model.layers import ItemToInterestAggregation

    layer: Any = InterestLayer(LightSANsConfig(**SIZES, causal=False)).eval()
    randomise(layer)
    other = ItemToInterestAggregation(50, 64, 5)
    other.theta.data = layer.keys.weight.data.T
    x = torch.randn(30, 50, 64)
    weights, sums = layer._weigh(layer.keys(x), torch.ones(30, 50, dtype=torch.bool))
    return ((weights / sums).mT @ x.unsqueeze(1))[:, 0], other(x)


def make_rows(config: FieldConfig) -> tuple[Mapping[str, Tensor], tuple[Any, ...]]:
    """256 rows of all kinds of fields, and the sizes of a network for them."""
    torch.manual_seed(0)
    rows = {
        "user": torch.randint(0, 40, (256,)), "item": torch.randint(0, 60, (256,)),
        "fields": torch.randint(0, 4, (256, 2)), "history": torch.randint(-1, 60, (256, 12)),
        "place": torch.randint(0, config.bins - 1, (256, 5)), "between": torch.rand(256, 5),
        "labels": (torch.rand(256, 7) < 0.3).float(),
    }  # fmt: skip
    return rows, (config, {"users": 40, "items": 60, "fields": [4, 4]}, 5, 7)


def logits_of(network: Any, rows: Mapping[str, Tensor], cross: Callable[[Tensor], Tensor]) -> Tensor:
    """The logits with somebody else's crossing of the fields."""
    x = network.vectors(rows)
    deep = network.deep(x.flatten(1))
    if isinstance(network, XDeepFMNetwork):
        logits: Tensor = network.out(torch.cat([deep, cross(x)], 1)) + network.linear(x.flatten(1))
    else:
        logits = network.out(torch.cat([deep, cross(x.flatten(1))], 1))
    return logits.squeeze(1)


def compare_xdeepfm() -> tuple[Tensor, Tensor]:
    """Logits of 256 rows, the interaction network being deepctr's."""
    from deepctr_torch.layers.interaction import CIN

    rows, sizes = make_rows(XDeepFMConfig())
    network: Any = XDeepFMNetwork(*sizes).eval()
    randomise(network)
    other = CIN(network.vectors.fields, XDeepFMConfig().interactions, activation="linear", split_half=False)
    for conv, weight in zip(other.conv1ds, network.interactions.weights, strict=True):
        conv.weight.data, conv.bias.data = weight.data.flatten(1).unsqueeze(-1), torch.zeros(len(weight))
    return network(rows), logits_of(network, rows, other)


def compare_dcnv2() -> tuple[Tensor, Tensor]:
    """Logits of 256 rows, the cross layers being deepctr's."""
    from deepctr_torch.layers.interaction import CrossNet

    rows, sizes = make_rows(DCNv2Config())
    network: Any = DCNv2Network(*sizes).eval()
    randomise(network)
    linears: list[Any] = [cross.linear for cross in network.crosses]
    other = CrossNet(linears[0].in_features, len(linears), "matrix")
    other.kernels.data = torch.stack([linear.weight.data for linear in linears])
    other.bias.data = torch.stack([linear.bias.data.unsqueeze(-1) for linear in linears])
    return network(rows), logits_of(network, rows, other)


COMPARED: tuple[tuple[str, str, str, Callable[[], tuple[Tensor, Tensor]]], ...] = (
    ("lightgcn", "torch-geometric", "vectors after three layers", compare_lightgcn),
    ("sasrec", "recbole", "scores of 400 items for 30 histories", compare_sasrec),
    ("lightsans", "recbole", "interests of the keys of 30 histories", compare_interests),
    ("xdeepfm", "deepctr-torch", "logits of 256 rows", compare_xdeepfm),
    ("dcnv2", "deepctr-torch", "logits of 256 rows", compare_dcnv2),
)


@torch.no_grad()
def compare_all() -> Iterator[tuple[str, float]]:
    """A line of the table each, with the largest difference relative to the largest number."""
    for name, package, what, make in COMPARED:
        torch.manual_seed(0)  # other people's vectors are drawn when their model is made
        ours, other = make()
        size = float(other.abs().max())
        gap = float((ours - other).abs().max()) / size
        yield f"| `{name}` | {package} {version(package)} | {what} | {size:.2f} | {gap:.1e} |", gap


def main() -> None:
    """Compare, and write the table."""
    lines, gaps = zip(*compare_all(), strict=True)
    head = [
        "# The same weights in other people's code", "",
        f"`PYTHONPATH=ORACLES python benchmarks/oracles.py`, {date.today()}, Python {platform.python_version()}, torch "
        f"{torch.__version__}, on a CPU in float32; seed 0, of the weights 1.", "",
        "| delegate | beside | what | largest number | largest difference, relative |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    tail = [
        "",
        "RecBole's whole LightSANs layer is not compared: it normalises the attention over the positions that ask "
        "(`Softmax(dim=-2)`), where the paper's equation 6 and ours normalise over what is attended to; a test writes "
        "the equations out instead. BSARec and ConvFormer have no package; tests hold them to their equations.",
        "",
    ]
    write_text(RESULT, "\n".join([*head, *lines, *tail]))
    print("\n".join(lines))
    if max(gaps) > BOUND:
        raise SystemExit("the difference is too large")


if __name__ == "__main__":
    main()
