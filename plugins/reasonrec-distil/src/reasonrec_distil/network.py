"""The student while it learns: vectors of items and histories, and links between items."""

from __future__ import annotations

import numpy as np
import torch
from reasonrec_torch.item_encoder import SPREAD
from reasonrec_torch.model_protocol import BatchLoss, Trainable
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn
from torch.nn import functional

from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32, Int64
from reasonrec_distil.config import DistilledConfig
from reasonrec_distil.student import Student
from reasonrec_distil.teacher import TeacherLists

FADE = 0.8
"""Of links, per step of age, at the start."""
STRENGTHS = (1e-2, 3e3)
"""The weakest and the strongest link at the start."""
AGES = (0.2, 1.0, 0.03)
"""How fast the weight of a history item falls with its age, at the start: of the first, the second, each other head."""
SHARPNESS = 2.0
"""Of what the newest item asks about the others, against what counts of them anyway."""
START = 0.05
"""Standard deviation of the vectors at the start, where they come from the links."""


class StudentNetwork(Trainable[dict[str, Tensor]]):
    """``score(i) = h . x_i + b_i + c log(1 + sum over the history of w(age) S[j, i])``, with h from weighed vectors.

    Each head weighs the history's items by age, by item, and by what the newest item asks about them (attention with
    one query; Liu et al., KDD 2018, let the last item ask, too). Their means, the newest item's vector and one layer
    give h, as in a candidate retriever's tower (Covington et al., 2016), and how much the links count, before and
    after the logarithm. The links S stand where the teacher's answers to single items do, and start from its shares:
    what several items lead to is added before its logarithm is taken, as a mixture is, so links do not say too much
    together. Vectors start from the same answers (`factorise_links`), which is worth more than as many training steps.

    Args:
        config: sizes.
        links: what the teacher answers to each item alone; T = n_items.
    """

    def __init__(self, config: DistilledConfig, links: TeacherLists) -> None:
        super().__init__()
        n, d, heads = len(links.items), config.dimensions, config.heads
        self.config = config
        reads, items = factorise_links(links, d)
        self.items, self.reads = nn.Parameter(items), nn.Parameter(reads)
        self.newest = nn.Parameter(reads.clone())
        self.bias, self.salience = nn.Parameter(torch.zeros(n)), nn.Parameter(torch.zeros(n, heads))
        falls = torch.tensor([AGES[min(head, len(AGES) - 1)] for head in range(heads)])
        self.ages = nn.Parameter(-falls * torch.arange(config.max_history).float()[:, None])
        self.link_ages = nn.Parameter(np.log(FADE) * torch.arange(config.max_history).float())
        self.ask = nn.Linear(d, heads * d)
        self.norm = nn.LayerNorm((heads + 1) * d)
        self.widen, self.narrow = nn.Linear((heads + 1) * d, config.hidden), nn.Linear(config.hidden, d)
        self.trust = nn.Linear((heads + 1) * d + 2, 2)
        nn.init.zeros_(self.ask.bias)
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)
        places, strengths = find_links(links)
        self.register_buffer("places", torch.from_numpy(places))
        self.links = nn.Parameter(invert_softplus(torch.from_numpy(strengths)))
        self.sharpness = nn.Parameter(torch.ones(()))

    @property
    def identity(self) -> str:
        """Of the links at the start."""
        return content_hash(self.links.detach().cpu().numpy().tobytes())

    def forward(self, items: Tensor) -> Tensor:
        """float[B, n]: scores after histories int64[B, L], the newest first, -1 pads."""
        there = items >= 0
        known, length = items.clamp(min=0), items.shape[1]
        read = self.reads[known]
        asked = self.ask(read[:, 0]).reshape(len(items), -1, read.shape[2])
        weights = self.ages[:length] + self.salience[known] + SHARPNESS * torch.einsum("bld,bhd->blh", read, asked)
        weights = torch.softmax(weights.masked_fill(~there[..., None], -torch.inf), dim=1)
        means = torch.einsum("blh,bld->bhd", weights, read).flatten(1)
        seen = self.norm(torch.cat([means, self.newest[known[:, 0]]], dim=1))
        state = means[:, : read.shape[2]] + self.narrow(torch.relu(self.widen(seen)))
        scores = torch.addmm(self.bias, state, self.items.T)
        if not self.links.shape[1]:
            return scores
        size = there.sum(1, keepdim=True).float()
        trust = torch.exp(self.trust(torch.cat([seen, torch.log1p(size), 1 / (1 + size)], dim=1)))
        fade = torch.exp(self.link_ages[:length]) * there * trust[:, :1]
        faded = functional.softplus(self.links)[known] * fade.unsqueeze(-1)
        row = torch.arange(len(items), device=items.device)[:, None, None] * scores.shape[1]
        places = (self.places[known] + row).reshape(-1)  # type: ignore[index]
        mass = faded.new_zeros(scores.numel()).index_add(0, places, faded.reshape(-1)).reshape(scores.shape)
        return scores + self.sharpness * trust[:, 1:] * torch.log1p(mass)

    def loss(self, batch: dict[str, Tensor], rng: np.random.Generator) -> BatchLoss:
        """What the teacher answers; see `DistilTraining`."""
        read, taught, shares = batch["read"].long(), batch["items"].long(), batch["shares"]
        scores = self(read)
        known = torch.zeros(len(scores), scores.shape[1] + 1, dtype=torch.bool, device=scores.device)
        for out in (read, batch["later"].long()):  # what is had is not recommended; what followed the teacher has seen
            known.scatter_(1, torch.where(out < 0, scores.shape[1], out), True)
        log_share = torch.log_softmax(scores.masked_fill(known[:, :-1], -torch.inf), dim=1)
        own = log_share.gather(1, taught.clamp(min=0))
        answer = -torch.where(shares > 0, shares * own, 0.0).sum(1).mean()
        order = order_loss(own, (taught >= 0) & (shares > 0))
        detail = batch["detail"][0]
        return BatchLoss((1 - detail) * answer + detail * order, {"shares": answer, "order": order})


def order_loss(log_share: Tensor, there: Tensor) -> Tensor:
    """Mean over histories of what the order of the best half, and of the best tenth, costs (Plackett and Luce).

    Each place's item is drawn from all that do not stand before it: -log(p_r / (1 - sum of p before r)), per place.
    HetComp (Kang et al., WWW 2023) learns these two parts after the whole.

    Args:
        log_share: float[B, K], log shares of the taught items among all items, best first.
        there: bool[B, K].
    """
    width, total = log_share.shape[1], log_share.new_zeros(())
    share = torch.where(there, log_share.exp(), 0.0)
    before = torch.cumsum(share, dim=1) - share
    place = torch.where(there, torch.log1p(-before.clamp(max=1 - 1e-6)) - log_share, 0.0)
    for part in (max(width // 2, 1), max(width // 10, 1)):
        count = there[:, :part].sum(1).clamp(min=1)
        total = total + (place[:, :part].sum(1) / count).mean() / 2
    return total


def invert_softplus(values: Tensor) -> Tensor:
    """What `softplus` makes the positive ``values`` of."""
    return values + torch.log(-torch.expm1(-values))


def find_links(links: TeacherLists) -> tuple[Int64, Float32]:
    """int64[n, m] places and float32[n, m] strengths of links: shares, in units of the last one's of the list."""
    shares = links.shares
    some = np.where(shares > 0, shares, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    floor = np.where(np.isfinite(some), some, 1.0)
    strengths = np.where(shares > 0, np.clip(shares / floor, *STRENGTHS), STRENGTHS[0])
    return np.maximum(links.items, 0).astype(np.int64), strengths.astype(np.float32)


def factorise_links(links: TeacherLists, dimensions: int) -> tuple[Tensor, Tensor]:
    """float[n, d] vectors of what history items give, and float[n, d] of what is scored: their products come near to
    how much likelier each item is to follow than it is on average (positive logarithms; after Levy and Goldberg,
    NeurIPS 2014). Random where there are no links, and in what n items leave of the dimensions.
    """
    rows, columns = np.nonzero(links.shares > 0)
    n, share, item = len(links.items), links.shares[rows, columns].astype(np.float64), links.items[rows, columns]
    found = torch.randn(2, n, dimensions) * SPREAD
    size = min(dimensions, n)
    if len(share):
        mean = np.bincount(item, share, minlength=n) / n
        gain = np.maximum(np.log(share / mean[item]), 0)
        matrix = sparse.csr_matrix((gain, (rows, item)), shape=(n, n))
        left, strength, right = randomized_svd(matrix, n_components=size, random_state=0)
        for place, vectors in enumerate((left, right.T)):
            vectors = vectors * np.sqrt(strength)
            vectors *= START / max(float(vectors.std()), 1e-12)
            found[place, :, :size] = torch.from_numpy(np.ascontiguousarray(vectors)).float()
    return found[0], found[1]


def export_student(network: StudentNetwork) -> Student:
    """The student as it answers."""

    def array(tensor: Tensor) -> Float32:
        return np.ascontiguousarray(tensor.detach().float().cpu().numpy())

    def layer(linear: nn.Linear) -> Float32:
        return array(torch.cat([linear.weight.T, linear.bias[None]]))

    return Student(
        # Column by column in memory: one history's product with all items takes an eighth less time.
        items=np.asfortranarray(array(torch.cat([network.items, network.bias[:, None]], 1))),
        reads=array(network.reads),
        newest=array(network.newest),
        salience=array(network.salience),
        ages=array(network.ages),
        ask=SHARPNESS * layer(network.ask),
        scale=array(network.norm.weight),
        shift=array(network.norm.bias),
        widen=layer(network.widen),
        narrow=layer(network.narrow),
        trust=layer(network.trust),
        link_ages=array(torch.exp(network.link_ages)),
        places=network.places.cpu().numpy().astype(np.int32),  # type: ignore[operator]
        links=array(functional.softplus(network.links)),
        sharpness=array(network.sharpness[None]),
    )
