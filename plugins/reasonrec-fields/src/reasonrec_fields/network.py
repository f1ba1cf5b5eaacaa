"""The networks: vectors of fields, crossed in one way or the other, a deep network beside them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from reasonrec_clicks.evidence import find_loss
from reasonrec_torch.losses import binary_loss
from reasonrec_torch.model_protocol import BatchLoss, Trainable
from torch import Tensor, nn

from reasonrec_fields.config import DCNv2Config, FieldConfig, XDeepFMConfig

SPREAD = 0.05
Sizes = Mapping[str, int | list[int]]


class FieldVectors(nn.Module):
    """Each field of a row as a vector of d numbers.

    Args:
        config: sizes.
        sizes: how many codes ids have (`FieldReader.sizes`).
        numbers: F, how many numbers there are.
        labels: G, how many labels items may carry.
    """

    def __init__(self, config: FieldConfig, sizes: Sizes, numbers: int, labels: int) -> None:
        super().__init__()
        d, self.config = config.dimensions, config
        known = sizes["fields"]
        assert isinstance(known, list)
        users, items = sizes["users"], sizes["items"]
        assert isinstance(users, int)
        assert isinstance(items, int)
        self.users, self.items = (nn.Parameter(torch.randn(n, d) * SPREAD) for n in (users, items))
        self.known = nn.ParameterList([torch.randn(n, d) * SPREAD for n in known])
        self.numbers = nn.Parameter(torch.randn(numbers, config.bins + 1, d) * SPREAD)
        self.labels = nn.Parameter(torch.randn(labels, d) * SPREAD)
        self.query = nn.Linear(d, d)
        self.fields = 2 + len(known) + numbers + (labels > 0) + (config.history != "none")

    def forward(self, rows: Mapping[str, Tensor]) -> Tensor:
        """float[N, fields, d]."""
        user, item, history = self._hide(rows["user"]), self._hide(rows["item"]), rows["history"]
        found = [self.users[user], self.items[item]]
        found += [table[rows["fields"][:, f]] for f, table in enumerate(self.known)]
        if self.config.history != "none":
            found.append(self._sum_up(history, found[1]))
        if len(self.labels):
            carried = rows["labels"]
            found.append(carried @ self.labels / carried.sum(1, keepdim=True).clamp(min=1))
        return torch.cat([torch.stack(found, 1), self._mix(rows["place"], rows["between"])], 1)

    def _hide(self, codes: Tensor) -> Tensor:
        if not self.training or not self.config.hidden_ids:
            return codes
        return codes * (torch.rand(codes.shape, device=codes.device) >= self.config.hidden_ids)

    def _sum_up(self, history: Tensor, item: Tensor) -> Tensor:
        """float[N, d]: the history as the item sees it (after DIN, Zhou et al., KDD 2018), or its mean; 0 if empty."""
        past, real = self.items[history.clamp(min=0)], history >= 0
        weights = real.float()
        if self.config.history == "attention":
            agreement = (past @ self.query(item).unsqueeze(-1)).squeeze(-1) / past.shape[-1] ** 0.5
            weights = agreement.masked_fill(~real, -torch.inf).softmax(1).nan_to_num(0.0)
        weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
        return (weights.unsqueeze(-1) * past).sum(1)

    def _mix(self, place: Tensor, between: Tensor) -> Tensor:
        """float[N, F, d]: each number between the vectors of the quantiles around it."""
        field = torch.arange(place.shape[1], device=place.device)
        low = self.numbers[field, place]
        high = self.numbers[field, (place + 1).clamp(max=self.numbers.shape[1] - 1)]
        return low + between.unsqueeze(-1) * (high - low)


class Deep(nn.Sequential):
    """Layers of units with layer normalisation and dropout; nothing in a row depends on the rest of its batch."""

    def __init__(self, width: int, hidden: tuple[int, ...], dropout: float) -> None:
        layers: list[nn.Module] = []
        for units in hidden:
            layers += [nn.Linear(width, units), nn.LayerNorm(units), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        super().__init__(*layers)
        self.width = width


class ClickNetwork(Trainable[dict[str, Tensor]]):
    """Fields to the logit of a click. A subclass crosses them.

    Args:
        config, sizes, numbers, labels: of `FieldVectors`.
    """

    def __init__(self, config: FieldConfig, sizes: Sizes, numbers: int, labels: int) -> None:
        super().__init__()
        self.vectors = FieldVectors(config, sizes, numbers, labels)
        self.deep = Deep(self.vectors.fields * config.dimensions, config.hidden, config.dropout)
        self._evidential, self._divergence = find_loss(config.evidence) if config.evidence else None, config.divergence
        self.outputs = 2 if config.evidence else 1

    @abstractmethod
    def read(self, rows: Mapping[str, Tensor]) -> Tensor:
        """float[N, outputs]: the logit of a click, or what the evidence for it and against it is the softplus of."""

    def evidence(self, rows: Mapping[str, Tensor]) -> Tensor:
        """float[N, 2], not negative: for a click and against it."""
        return F.softplus(self.read(rows))

    def forward(self, rows: Mapping[str, Tensor]) -> Tensor:
        """float[N] logits; of the mean of the Beta distribution where there is evidence."""
        if self._evidential is None:
            return self.read(rows).squeeze(1)
        alpha = self.evidence(rows) + 1
        return alpha[:, 0].log() - alpha[:, 1].log()

    def loss(self, batch: dict[str, Tensor], rng: np.random.Generator) -> BatchLoss:
        """Binary cross entropy, or the evidential loss, whose divergence counts in full from the beginning."""
        label = batch["label"]
        if self._evidential is None:
            return BatchLoss(binary_loss(self(batch), label))
        target = torch.stack([label, 1 - label], dim=1)
        return BatchLoss(self._evidential(self.evidence(batch), target, self._divergence, 1.0))


class InteractionNetwork(nn.Module):
    """``X^k_h = sum_ij W^k_hij (X^(k-1)_i o X^0_j)``, each layer summed over d (xDeepFM, equations 6 and 8).

    Args:
        fields: m.
        maps: H of each layer.
    """

    def __init__(self, fields: int, maps: tuple[int, ...]) -> None:
        super().__init__()
        widths = (fields, *maps)
        self.weights = nn.ParameterList(
            [torch.randn(h, before, fields) / (before * fields) ** 0.5 for before, h in zip(widths, maps, strict=False)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """float[N, sum of maps] for float[N, m, d]."""
        rows = x.transpose(1, 2).flatten(0, 1)
        state, found = rows, []
        for weight in self.weights:  # the sum over j first: half the time of one einsum on a CPU
            seen = (rows @ weight.flatten(0, 1).T).view(-1, *weight.shape[:2])
            state = torch.bmm(seen, state.unsqueeze(2)).squeeze(2)
            found.append(state.view(len(x), x.shape[2], len(weight)).sum(1))
        return torch.cat(found, 1)


class CrossLayer(nn.Module):
    """``x_(l+1) = x_0 o (W x_l + b) + x_l`` (DCNv2, Wang et al., WWW 2021, equation 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, first: Tensor, x: Tensor) -> Tensor:
        """float[N, w] for the input of the first layer and of this one."""
        out: Tensor = first * self.linear(x) + x
        return out


class XDeepFMNetwork(ClickNetwork):
    """A linear part, `InteractionNetwork`, and a deep one (equation 10)."""

    def __init__(self, config: XDeepFMConfig, sizes: Sizes, numbers: int, labels: int) -> None:
        super().__init__(config, sizes, numbers, labels)
        self.interactions = InteractionNetwork(self.vectors.fields, config.interactions)
        self.linear = nn.Linear(self.vectors.fields * config.dimensions, self.outputs)
        self.out = nn.Linear(self.deep.width + sum(config.interactions), self.outputs)

    def read(self, rows: Mapping[str, Tensor]) -> Tensor:
        """See `ClickNetwork.read`."""
        x = self.vectors(rows)
        flat = x.flatten(1)
        crossed = torch.cat([self.deep(flat), self.interactions(x)], 1)
        found: Tensor = self.out(crossed) + self.linear(flat)
        return found


class DCNv2Network(ClickNetwork):
    """Cross layers beside a deep network (the parallel form)."""

    def __init__(self, config: DCNv2Config, sizes: Sizes, numbers: int, labels: int) -> None:
        super().__init__(config, sizes, numbers, labels)
        width = self.vectors.fields * config.dimensions
        self.crosses = nn.ModuleList(CrossLayer(width) for _ in range(config.crosses))
        self.out = nn.Linear(self.deep.width + width, self.outputs)

    def read(self, rows: Mapping[str, Tensor]) -> Tensor:
        """See `ClickNetwork.read`."""
        first = x = self.vectors(rows).flatten(1)
        for cross in self.crosses:
            x = cross(first, x)
        found: Tensor = self.out(torch.cat([self.deep(first), x], 1))
        return found


def fit_line(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Slope (at least 0.05) and offset that make float[N] logits probabilities of labels in [0, 1] (Platt scaling)."""
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([line], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(line[0] * logits.double() + line[1], labels.double())
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    slope, offset = line.tolist()
    return max(float(slope), 0.05), float(offset)
