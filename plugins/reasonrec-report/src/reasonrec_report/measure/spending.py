"""What answers cost in money, where components pay for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline import Agent
from reasonrec_core.types import QueryBatch


@runtime_checkable
class Paying(Protocol):
    """A component that pays for its answers, such as one that asks a language model on a server."""

    @property
    def spent(self) -> float | None:
        """Money spent so far; None where prices are not known."""

    @property
    def currency(self) -> str:
        """Of that money; "" where it is not named."""


class Spending:
    """Counts what ways to answer cost in money while they are timed, one after another.

    Args:
        agent: whose policy and delegates may be `Paying`.

    Raises:
        ConfigError: they pay in several currencies, which have no sum.
    """

    def __init__(self, agent: Agent) -> None:
        parts = [named.part for _, named in agent.parts]
        self._paying = [part for part in parts if isinstance(part, Paying) and part.spent is not None]
        currencies = sorted({part.currency for part in self._paying})
        if len(currencies) > 1:
            named = " and ".join(each or "a currency without a name" for each in currencies)
            raise ConfigError(f"answers are paid for in {named}", fix="Give all prices in one currency.")
        self.currency = currencies[0] if currencies else ""
        self._money: defaultdict[str, float] = defaultdict(float)
        self._requests: defaultdict[str, int] = defaultdict(int)

    def count(self, who: str, answer: Callable[[QueryBatch], object]) -> Callable[[QueryBatch], object]:
        """``answer``, with what it costs counted for ``who``."""

        def counted(batch: QueryBatch) -> object:
            before = self._total()
            made = answer(batch)
            self._money[who] += self._total() - before
            self._requests[who] += len(batch)
            return made

        return counted

    def per_1000(self, who: str) -> float | None:
        """Money per 1,000 requests of ``who``; None where nobody pays, or nothing was asked."""
        if not self._paying or not self._requests[who]:
            return None
        return 1000 * self._money[who] / self._requests[who]

    def _total(self) -> float:
        return sum(part.spent or 0.0 for part in self._paying)
