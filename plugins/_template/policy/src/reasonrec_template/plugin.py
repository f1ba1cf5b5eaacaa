"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_policies() -> list[ComponentSpec]:
    """The policy `template`."""
    summary = "What most often followed the newest item of the history"
    return [ComponentSpec("template", "reasonrec_template.policy:Template", summary, ("sequential", "direct"))]
