"""A plugin of toy parts: the tests of the core need no policy but this one."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_policies() -> list[ComponentSpec]:
    """The policies `toy` and `toy-consulting`."""
    return [
        ComponentSpec(
            "toy",
            "reasonrec_core.testing.toy_policy:ToyPolicy",
            "What followed the history's items, editable",
            ("sequential", "direct"),
        ),
        ComponentSpec(
            "toy-consulting",
            "reasonrec_core.testing.toy_policy:ConsultingToyPolicy",
            "The same, which lets delegates vote where it is told what they answer",
            ("sequential", "direct"),
        ),
    ]
