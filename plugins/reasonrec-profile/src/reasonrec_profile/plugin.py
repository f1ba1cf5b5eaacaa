"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_policies() -> list[ComponentSpec]:
    """The policy `profile`."""
    return [
        ComponentSpec(
            "profile",
            "reasonrec_profile.policy:Profile",
            "Explicit steps over co-occurrence, text and images; only their mixture is fitted",
            ("sequential", "direct"),
        )
    ]
