"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_encoders() -> list[ComponentSpec]:
    """The encoder."""
    return [
        ComponentSpec(
            "llava",
            "reasonrec_llava.encoder:LlavaEncoder",
            "Item images and text through LLaVA or any image-text-to-text model of transformers",
        )
    ]
