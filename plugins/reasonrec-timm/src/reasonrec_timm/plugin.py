"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_encoders() -> list[ComponentSpec]:
    """The image encoder."""
    return [
        ComponentSpec(
            "timm",
            "reasonrec_timm.encoder:TimmEncoder",
            "Item images through any model of timm (default: EfficientNet-Lite0)",
        )
    ]
