"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl

RANKING = ("sequential", "direct")


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The models of the graph."""
    return [
        ComponentSpec(name, f"reasonrec_graph.{model}", summary, RANKING)
        for name, model, summary in (
            (
                "lightgcn",
                "delegates:LightGCN",
                "Vectors of users and items, averaged over their neighbours in the graph",
            ),
            ("sgl", "delegates:SGL", "LightGCN whose vectors must agree between two perturbed graphs"),
            (
                "gcm",
                "gcm:GCM",
                "LightGCN with the context of each choice (hour, weekday, item before), and of the request",
            ),
            (
                "alpharec",
                "delegates:AlphaRec",
                "Without ids: vectors of item text and pictures, mapped and averaged over the graph",
            ),
            ("mrmn", "mrmn:MRMN", "Feedback of several kinds (views, carts, purchases) in one metric space"),
            (
                "recgoat",
                "recgoat:RecGOAT",
                "Ids and content, aligned; items that look or read alike pass vectors to each other",
            ),
            (
                "ssr",
                "ssr:SSR",
                "Ids and content in frequency bands over the items that look or read alike",
            ),
        )
    ]
