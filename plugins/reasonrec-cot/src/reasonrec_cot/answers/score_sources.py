"""What a decision weighs: the tuned head, the delegate that proposes candidates, further delegates by name."""

from __future__ import annotations

from collections.abc import Sequence

HEAD, GENERATOR = "head", "generator"
"""Names of the first two sources; all but the first one's scores have no unit."""
YES = "yes"
"""The source of the language model that says yes or no."""


def name_sources(sources: Sequence[str], generator: str) -> list[str]:
    """What a reader calls them; ``generator`` is the delegate's name."""
    named = {HEAD: "the tuned head", GENERATOR: generator, YES: '"yes" against "no"'}
    return [named.get(source, source) for source in sources]


def join_names(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
