"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The delegate `template`."""
    summary = "Items bought by the same users as the history's"
    return [ComponentSpec("template", "reasonrec_template.delegate:Template", summary, ("sequential", "direct"))]
