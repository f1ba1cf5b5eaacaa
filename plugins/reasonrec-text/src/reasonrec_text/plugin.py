"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_encoders() -> list[ComponentSpec]:
    """The sentence encoder."""
    return [
        ComponentSpec(
            "text",
            "reasonrec_text.encoder:TextEncoder",
            "Item text through any sentence encoder of transformers (default: MiniLM)",
        )
    ]
