"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl

RANKING = ("sequential", "direct")


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The encoders, each as a delegate."""
    return [
        ComponentSpec(name, f"reasonrec_sequence.delegates:{model}", summary, RANKING)
        for name, model, summary in (
            ("sasrec", "SASRec", "Causal self-attention over the history, trained with a softmax over the catalogue"),
            ("bsarec", "BSARec", "SASRec with a frequency filter beside the attention"),
            ("lightsans", "LightSANs", "Attention to a few latent interests: linear in the length of the history"),
            ("convformer", "ConvFormer", "Depth-wise convolutions over the history instead of attention"),
            ("gru", "Gru", "A recurrent network over the history"),
        )
    ] + [
        ComponentSpec(
            "ada-retrieval",
            "reasonrec_sequence.ada_retrieval:AdaRetrieval",
            "Retrieval in rounds around one of the others, each with what was found before in view",
            RANKING,
        )
    ]
