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
            ("user-knn", "user_neighbours:UserKNN", "What the most similar users have"),
            ("content-knn", "content_neighbours:ContentKNN", "What reads or looks most like the history"),
        )
    ]
