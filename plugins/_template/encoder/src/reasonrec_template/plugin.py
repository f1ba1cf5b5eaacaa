"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_encoders() -> list[ComponentSpec]:
    """The encoder `template`."""
    return [ComponentSpec("template", "reasonrec_template.encoder:Template", "Colour histograms of pictures")]
