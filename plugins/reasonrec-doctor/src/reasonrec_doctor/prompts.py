"""Does a text prompt hold the answer? For policies that write prompts."""

from __future__ import annotations

from collections.abc import Sequence

from reasonrec_core.data.catalog import normalise_text
from reasonrec_doctor.finding import Finding, Severity

NAME = "target-in-prompt"
SHORTEST = 4
"""Shorter names (``It``, ``Up``) are in every prompt by chance and are not looked for."""


def check_prompts(
    prompts: Sequence[str], targets: Sequence[Sequence[str]], *, candidates: Sequence[Sequence[str]] | None = None
) -> list[Finding]:
    """Look for each query's targets in its prompt, as whole words, whatever the case and punctuation.

    Args:
        prompts: one text per query.
        targets: the names (ids, titles) of each query's targets.
        candidates: the names that each prompt lists on purpose (1 + 99); a target may then occur as often as it is
            listed, and no more.

    Returns:
        One finding (an error) if any prompt holds a target, else nothing.

    Raises:
        ValueError: the sequences differ in length.
    """
    listed = candidates if candidates is not None else [()] * len(prompts)
    leaking = [
        (row, name)
        for row, (prompt, names, allowed) in enumerate(zip(prompts, targets, listed, strict=True))
        for name in names
        if _occurrences(prompt, name) > sum(_occurrences(other, name) for other in allowed)
    ]
    if not leaking:
        return []
    row, name = leaking[0]
    return [
        Finding(
            NAME,
            Severity.ERROR,
            "prompts contain the target of their own request",
            len({row for row, _ in leaking}),
            len(prompts),
            f"prompt {row} holds {name!r}: {_excerpt(prompts[row], name)}",
            "Build prompts only from the history before the request, and shuffle the listed candidates.",
        )
    ]


def _occurrences(text: str, name: str) -> int:
    wanted = normalise_text(name)
    if len(wanted) < SHORTEST:
        return 0
    return f" {normalise_text(text)} ".replace(" ", "  ").count(f" {wanted.replace(' ', '  ')} ")


def _excerpt(prompt: str, name: str) -> str:
    at = max(prompt.casefold().find(name.casefold()), 0)
    return f"...{prompt[max(at - 30, 0) : at + len(name) + 30]}...".replace("\n", " ")
