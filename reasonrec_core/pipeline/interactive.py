"""Edited requests: names to `Edits`, and the policy asked by itself, guarded and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from scipy import sparse

from reasonrec_core.components import EditablePolicy, Kind
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.pipeline.agent import Agent
from reasonrec_core.types import Deliberation, Edits, Float32, QueryBatch
from reasonrec_core.validation import check_attribution, check_beliefs, check_deliberation, check_edits

SUGGESTED, SHOWN = 3, 20


@dataclass(frozen=True)
class EditedPolicy:
    """An agent's policy, asked without its router; every answer is guarded and checked."""

    agent: Agent

    @classmethod
    def of(cls, agent: Agent) -> EditedPolicy:
        """The agent's policy.

        Raises:
            ConfigError: there is none, or its steps cannot be edited.
        """
        why = cls.refusal(agent)
        if why is not None:
            raise ConfigError(why, fix="Use a policy whose steps can be edited, such as profile.")
        return cls(agent)

    @staticmethod
    def refusal(agent: Agent) -> str | None:
        """Why the agent's steps cannot be edited, or None where they can."""
        if agent.policy is None:
            return "the run has no policy, so there are no steps to edit"
        if not isinstance(agent.policy.part, EditablePolicy):
            return f"the steps of the policy {agent.policy.label!r} cannot be edited"
        return None

    @property
    def _policy(self) -> EditablePolicy[Any]:
        assert self.agent.policy is not None
        policy: EditablePolicy[Any] = self.agent.policy.part
        return policy

    def _guard(self, verb: str) -> Any:
        assert self.agent.policy is not None
        return self.agent.registry.guard(Kind.POLICY, self.agent.policy.name, verb)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """See `EditablePolicy.labels`."""
        with self._guard("labels"):
            return self._policy.labels

    def membership(self, field: str) -> sparse.csr_matrix:
        """See `EditablePolicy.membership`."""
        with self._guard("membership"):
            return self._policy.membership(field)

    def infer_labels(self, batch: QueryBatch) -> Mapping[str, Float32]:
        """Per field float32[B, labels]: what the policy infers."""
        with self._guard("infer_labels"):
            found = self._policy.infer_labels(batch, self.agent.observe(batch))
            return check_beliefs(found, batch, self._policy.labels)

    def attribution(self, batch: QueryBatch) -> Float32:
        """float32[L]: how much each history entry caused the answer."""
        with self._guard("attribution"):
            return check_attribution(self._policy.attribution(batch, self.agent.observe(batch)), batch)

    def deliberate(self, batch: QueryBatch, edits: Edits | None = None) -> Deliberation:
        """The answer from edited steps."""
        if edits is not None:
            check_edits(edits, batch, self.labels)
        with self._guard("deliberate"):
            answer = self._policy.deliberate(batch, self.agent.observe(batch), edits)
            return check_deliberation(answer, batch, self.agent.n_items)


def read_edits(
    policy: EditedPolicy, batch: QueryBatch, catalog: Catalog, assume: Mapping[str, str], ignore: Sequence[str]
) -> Edits:
    """The edits of a batch of one, from names.

    Args:
        policy: whose steps are edited.
        batch: the request.
        catalog: the items.
        assume: item field -> label.
        ignore: raw ids of items of the history; every occurrence is ignored.

    Raises:
        ConfigError: no such field or label.
        DataError: an item that is not in the history.
    """
    relevance = None
    if ignore:
        past = [catalog.ids[i] for i in batch.history.items.tolist()]
        for name in ignore:
            if name not in past:
                what = f"item {name!r} is not in the history" if past else "the history is empty: nothing to ignore"
                raise DataError(what, where="--ignore", fix=_suggestion(name, list(dict.fromkeys(past))))
        relevance = np.array([item not in set(ignore) for item in past], dtype=np.float32)
    labels, chosen = policy.labels, {}
    if assume and not labels:
        raise ConfigError("the policy inferred no item field, so there is none to assume", where="--assume")
    for name, label in assume.items():
        field = _find(name, list(labels), "item field to assume")
        chosen[field] = np.array([labels[field].index(_find(label, labels[field], f"label of {field!r}"))], np.int32)
    return Edits(relevance, chosen)


def _find(name: str, known: Sequence[str], what: str) -> str:
    """The known name, whatever its case; the end of a path (``Boots`` of ``Shoes > Boots``) where only one has it."""
    wanted = name.casefold()
    for same in (
        [each for each in known if each == name],
        [each for each in known if each.casefold() == wanted],
        [each for each in known if each.casefold().endswith(f" > {wanted}")],
    ):
        if len(same) == 1:
            return same[0]
    raise ConfigError(f"there is no {what} {name!r}", where="--assume", fix=_suggestion(name, known))


def _suggestion(name: str, known: Sequence[str]) -> str:
    lower = {each.casefold(): each for each in known}
    near = get_close_matches(name.casefold(), lower, n=SUGGESTED, cutoff=0.6)
    near += [each for each in lower if name.casefold() in each and each not in near]
    if near:
        return f"Did you mean {' or '.join(repr(lower[each]) for each in near[:SUGGESTED])}?"
    if not known:
        return ""
    rest = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"There are: {', '.join(known[:SHOWN])}{rest}."
