"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import ComponentSpec, hookimpl

RANKING = ("sequential", "direct")


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The baselines."""
    return [
        ComponentSpec(name, f"reasonrec_baselines.{model}", summary, RANKING)
        for name, model, summary in (
            ("ease", "regression:EASE", "Item-to-item regression in closed form"),
            ("slim", "regression:SLIM", "Item-to-item regression with sparse weights that are not negative"),
            ("user-knn", "user_neighbours:UserKNN", "Items that the most similar users chose"),
            ("click-rate", "click_rate:ClickRate", "Items that are chosen when they are shown; learns while it serves"),
            ("content-knn", "content_neighbours:ContentKNN", "Items whose text or picture is most like the history"),
        )
    ]
