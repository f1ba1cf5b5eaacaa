"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The student."""
    summary = "A small, fast student of the policy or of delegates"
    return [ComponentSpec("distilled", "reasonrec_distil.delegate:Distilled", summary, ("sequential", "direct"))]
