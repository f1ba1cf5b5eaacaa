"""Items that are imported into a finished run: recommended, ranked, taken as history; all or nothing.

End to end with the policy `profile`, which places new items by their content; needs reasonrec-profile.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from reasonrec_datasets import add_items, read_new_items, run_items
from reasonrec_datasets.synth import SynthConfig, make_catalogue
from reasonrec_serve import Recommender
from scipy import stats

from reasonrec_core.builtin.popularity import Popularity
from reasonrec_core.cli.main import cli
from reasonrec_core.components import Kind
from reasonrec_core.config import check_config
from reasonrec_core.errors import DataError, PluginError, ReasonRecError, RunError
from reasonrec_core.hookspecs import ComponentSpec
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.pipeline.serving_catalog import ServingCatalog
from reasonrec_core.pipeline.stage_stamp import Stamp, stamp_folder
from reasonrec_core.plugins import Registered
from reasonrec_core.registry import Registry
from reasonrec_core.types import History, QueryBatch, Task

from .conftest import silent
from .shop_encoders import ENCODED, Words, registry

Row = dict[str, str]
LEFT_OUT = 15
PIPELINE = {
    "name": "shop",
    "observe": {"text": {"encoder": "words"}, "image": {"encoder": "colours"}},
    "policy": {"name": "profile", "trials": 200},
    "delegates": ["popularity", {"name": "transitions", "search": False}],
    "router": {"share": 0.1, "stage": "before"},
    "evaluate": {"tasks": ["sequential", "direct"], "k": [5, 10]},
}


@dataclass(frozen=True)
class World:
    """A shop that was opened without some of its items, the run that was made then, and what came later.

    Attributes:
        run: fitted without the items.
        later: a folder with ``items.csv`` and ``images/`` of the items that were left out.
        items: all rows.
        new: ids of the items that were left out.
        bought: per removed purchase (user, item).
    """

    run: Path
    later: Path
    items: list[Row]
    new: list[str]
    bought: list[tuple[str, str]]


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("shop")
    make_catalogue(folder / "shop", SynthConfig(users=400, items=150, image_size=32, launched_later=0))
    items, log = read(folder / "shop" / "items.csv"), read(folder / "shop" / "interactions.csv")
    new = [row["item_id"] for row in items[:: len(items) // LEFT_OUT]][:LEFT_OUT]
    write(folder / "shop" / "items.csv", [row for row in items if row["item_id"] not in new])
    write(folder / "later" / "items.csv", [row for row in items if row["item_id"] in new])
    (folder / "later" / "images").mkdir()
    for item in new:
        shutil.move(folder / "shop" / "images" / f"{item}.jpg", folder / "later" / "images")
    write(folder / "shop" / "interactions.csv", [row for row in log if row["item_id"] not in new])
    bought = [(row["user_id"], row["item_id"]) for row in log if row["item_id"] in new]
    config = check_config({**PIPELINE, "data": {"path": str(folder / "shop")}}, "shop.toml")
    fit_pipeline(config, folder / "run", registry(), silent)
    return World(folder / "run", folder / "later", items, new, bought)


@pytest.fixture
def run(world: World, tmp_path: Path) -> Path:
    """A copy of the run as it was before anything was imported."""
    return Path(shutil.copytree(world.run, tmp_path / "run"))


@pytest.fixture(scope="module")
def grown(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run with the items imported. Tests do not change it."""
    folder = Path(shutil.copytree(world.run, tmp_path_factory.mktemp("grown") / "run"))
    added = add_items(folder, read_new_items(world.later), silent, registry())
    assert added.ranked_last == ("popularity", "transitions")  # the policy sees what they are like
    return folder


def theme(row: Row) -> str:
    return row["title"].split()[0]


def contents(folder: Path) -> dict[str, str]:
    """A hash of every file."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


def test_new_items_are_recommended_to_whom_bought_items_like_them(world: World, grown: Path) -> None:
    recommender = Recommender.open(grown, registry())
    catalog = recommender.dataset.catalog
    found = 0
    for row in (row for row in world.items if row["item_id"] in world.new):
        like = [other["item_id"] for other in world.items if theme(other) == theme(row)]
        past, _ = catalog.known([item for item in like if item not in world.new][:6])
        batch = QueryBatch(Task.SEQUENTIAL, np.full(1, -1, np.int32), History.of([past.tolist()]), k=10)
        answer = recommender.agent.deliberate(batch, recommender.agent.observe(batch))
        assert answer.ranking is not None
        found += catalog.index[row["item_id"]] in answer.ranking.items[0]
        assert answer.steps[0][-1].claim
    assert found >= 0.6 * len(world.new), f"{found} of {len(world.new)}; by chance one or two would be"


def test_purchases_of_items_that_the_fit_never_saw_are_foreseen(world: World, grown: Path) -> None:
    """What users really bought of the items that were left out, from the rest of what they bought."""
    recommender = Recommender.open(grown, registry())
    dataset, agent = recommender.dataset, recommender.agent
    log, users = dataset.interactions, dataset.user_index
    pairs = [(users[user], dataset.catalog.index[item]) for user, item in world.bought if user in users]
    past = [log.items[log.users == user].tolist() for user, _ in pairs]
    batch = QueryBatch(Task.SEQUENTIAL, np.array([user for user, _ in pairs], np.int32), History.of(past), k=10)
    observation = agent.observe(batch)
    targets = np.array([item for _, item in pairs])
    ranking = agent.deliberate(batch, observation).ranking
    assert ranking is not None
    hits = int((ranking.items == targets[:, None]).any(axis=1).sum())
    chance = 10 / (dataset.n_items - np.mean([len(set(row)) for row in past]))
    assert stats.binomtest(hits, len(pairs), chance, alternative="greater").pvalue < 1e-4, f"{hits} of {len(pairs)}"
    for label in ("popularity", "transitions"):
        others = agent.delegate(label, batch, observation).items
        assert not (others == targets[:, None]).any(), f"{label} cannot know them"


def test_old_items_keep_their_indices_and_features(world: World, grown: Path) -> None:
    before, after = ServingCatalog.open(world.run), ServingCatalog.open(grown)
    n = before.dataset.n_items
    assert after.dataset.catalog.ids[:n] == before.dataset.catalog.ids
    assert sorted(after.dataset.catalog.ids[n:]) == sorted(world.new)
    assert after.n_fitted == n
    np.testing.assert_array_equal(after.dataset.interactions.items, before.dataset.interactions.items)
    for name, values in before.items().features.items():
        longer = after.items().features[name]
        assert isinstance(longer, np.memmap)
        np.testing.assert_array_equal(longer[:n], values)
        assert after.items().present[name][n:].all()
    texts = after.dataset.catalog.texts()[n:]
    np.testing.assert_array_equal(after.items().features["text"][n:], Words(Words.Config()).encode(texts))
    fitted = {name: digest for name, digest in contents(grown).items() if not name.startswith("added")}
    assert fitted == contents(world.run), "what was fitted is touched"


def test_new_items_are_ranked_listed_and_taken_as_history(world: World, grown: Path) -> None:
    recommender = Recommender.open(grown, registry())
    old = [row["item_id"] for row in world.items if row["item_id"] not in world.new]
    listed = [*world.new[:3], *old[:3]]
    direct = recommender.recommend(history=world.new[3:5], candidates=listed)
    assert {item.id for item in direct.items} == set(listed)
    assert (direct.unknown, [item for item, _ in direct.history]) == (0, world.new[3:5])
    following = recommender.recommend(history=world.new[3:5], k=5)
    assert len(following.items) == 5
    assert not {item.id for item in following.items} & set(world.new[3:5])
    edited = recommender.recommend(history=[*old[:2], world.new[0]], ignore=[old[0]], k=5)
    assert edited.edited is not None


def test_only_new_items_are_encoded_and_nothing_twice(world: World, run: Path) -> None:
    rows = [
        {**row, "title": f"{row['title']} II", "item_id": f"{row['item_id']}-2"}
        for row in read(world.later / "items.csv")
    ]
    shutil.copytree(world.later / "images", run.parent / "more" / "images")
    file = write(run.parent / "more" / "items.csv", rows)
    before = ENCODED.copy()
    add_items(run, read_new_items(file), silent, registry())
    assert ENCODED["words"] - before["words"] == LEFT_OUT
    add_items(shutil.copytree(world.run, run.parent / "again"), read_new_items(file), silent, registry())
    assert ENCODED["words"] - before["words"] == LEFT_OUT, "known to the cache by content"


def test_items_can_be_imported_again_and_again(world: World, run: Path) -> None:
    rows, answers = read(world.later / "items.csv"), []
    for start in range(0, LEFT_OUT, 5):
        part = write(run.parent / f"part{start}" / "items.csv", rows[start : start + 5])
        shutil.copytree(world.later / "images", part.parent / "images")
        added = add_items(run, read_new_items(part.parent), silent, registry())
        assert (added.items, added.present) == (5, {"text": 5, "image": 5})
        answers.append(Recommender.open(run, registry()).dataset.n_items)
    assert answers == [140, 145, 150]
    assert len(list((run / "added").iterdir())) == 1, "only what is served is kept"
    served = ServingCatalog.open(run)
    assert set(served.dataset.catalog.ids) == {row["item_id"] for row in world.items}
    assert served.items().present["image"].all()
    paths = [served.dataset.catalog.image_root(i) for i in range(135, 150)]
    assert all((root / p).is_file() for root, p in zip(paths, served.dataset.catalog.image_paths[135:], strict=True))  # type: ignore[operator]
    with pytest.raises(DataError, match=r"item 'P\d+' is already in the catalogue.*5 of the 5"):
        add_items(run, read_new_items(part), silent, registry())


@pytest.mark.parametrize("where", ["_observe", "_append", "_try", "switch"])
def test_an_interrupted_import_leaves_the_run_as_it_was(
    world: World, run: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((ServingCatalog, where, killed) if where == "switch" else (run_items, where, killed)))
        with pytest.raises(KeyboardInterrupt):
            add_items(run, read_new_items(world.later), silent, registry())
    assert Recommender.open(run, registry()).dataset.n_items == 135
    if where != "switch":
        assert not list((run / "added").iterdir())
    assert add_items(run, read_new_items(world.later), silent, registry()).total == 150
    assert len(list((run / "added").iterdir())) == 1


class OldOnly(Popularity):
    """A delegate that was written before catalogues could grow."""

    @classmethod
    def load(cls, folder, catalog):  # type: ignore[no-untyped-def]
        """Forget the new items."""
        self = super().load(folder, catalog)
        self._remember(self._counts[:135])
        return self


def test_a_component_that_cannot_serve_new_items_is_named_before_anything_changes(world: World, run: Path) -> None:
    mine = Registered(
        Kind.DELEGATE, ComponentSpec("old-only", f"{__name__}:OldOnly", "x", ("sequential", "direct")), "theirs", "1"
    )
    config = json.loads(json.dumps(PIPELINE)) | {"policy": None, "router": None, "delegates": ["old-only"]}
    data = check_config({**config, "data": {"path": str(world.run.parent / "shop")}}, "x.toml")
    fit_pipeline(data, run.parent / "other", registry(mine), silent)
    before = contents(run.parent / "other")
    with pytest.raises(PluginError, match="delegate 'old-only' of theirs 1"):
        add_items(run.parent / "other", read_new_items(world.later), silent, registry(mine))
    assert contents(run.parent / "other") == before


def test_items_without_text_or_image_are_added_too(world: World, run: Path) -> None:
    blank = dict.fromkeys(world.items[0], "")
    file = write(
        run.parent / "bare" / "items.csv", [{**blank, "item_id": "bare"}, {**blank, "item_id": "b2", "image": "x.jpg"}]
    )
    added = add_items(run, read_new_items(file), silent, registry())
    assert added.present == {"text": 0, "image": 0}
    assert [image.path for image in added.refused] == ["x.jpg"]
    listed = Recommender.open(run, registry()).recommend(
        history=["bare"], candidates=["bare", world.items[1]["item_id"]]
    )
    assert len(listed.items) == 2


def test_another_encoder_is_refused(world: World, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Words, "salt", "other weights")
    with pytest.raises(RunError, match=r"observe\.text: the encoder's weights, library or settings have changed"):
        add_items(run, read_new_items(world.later), silent, registry())
    assert not list((run / "added").iterdir())


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x04\x00{[(\n", "a list"])
def test_damaged_features_are_one_message_and_nothing_is_added(world: World, run: Path, content: bytes | str) -> None:
    path = run / "stages" / "agent" / "text.npy"
    path.unlink()
    np.save(path, np.ones(3, np.float32))
    if isinstance(content, bytes):
        path.write_bytes(content)
    stamp_folder(path.parent, **Stamp.read(path.parent).model_dump(exclude={"files"}))
    with pytest.raises((DataError, RunError), match=r"text\.npy: .*Run the pipeline again"):
        add_items(run, read_new_items(world.later), silent, registry())
    assert not list((run / "added").iterdir())


def test_a_run_that_was_fitted_again_says_what_to_do(world: World, run: Path) -> None:
    add_items(run, read_new_items(world.later), silent, registry())
    stamp_folder(run / "stages" / "agent", "new")
    with pytest.raises(RunError, match=r"fitted again after items were imported\. Import them again .*added\.json"):
        Recommender.open(run, registry())
    (run / "added.json").unlink()
    assert add_items(run, read_new_items(world.later), silent, registry()).total == 150


def test_two_imports_at_once_lose_nothing(world: World, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, real = read(world.later / "items.csv"), run_items._try
    (first, second) = (write(run.parent / n / "items.csv", part) for n, part in (("a", rows[:2]), ("b", rows[2:4])))

    def meanwhile(*given: object) -> None:
        monkeypatch.setattr(run_items, "_try", real)
        add_items(run, read_new_items(second), silent, registry())

    monkeypatch.setattr(run_items, "_try", meanwhile)
    with pytest.raises(RunError, match="the run is being written by process"):
        add_items(run, read_new_items(first), silent, registry())
    assert ServingCatalog.open(run).dataset.n_items == 135
    assert add_items(run, read_new_items(second), silent, registry()).total == 137
    assert add_items(run, read_new_items(first), silent, registry()).total == 139


BAD = {
    "repeated": (lambda rows: [*rows, rows[0]], r"items\.csv:17(:\d+)?: item_id 'P\d+' occurs twice"),
    "known": (
        lambda rows: [*rows, {**rows[0], "item_id": "OLD"}],
        r"items\.csv:17(:\d+)?: item 'P\d+' is already in the catalogue",
    ),
    "blank id": (lambda rows: [*rows, {**rows[0], "item_id": ""}], r"items\.csv:17(:\d+)?: "),
    "no id": (lambda rows: [{"name": "x"}], r"no column 'item_id'"),
    "no price": (lambda rows: [{k: v for k, v in r.items() if k != "price"} for r in rows], "no column 'price'"),
    "price": (
        lambda rows: [{**row, "price": "cheap"} for row in rows],
        r"items\.csv:2(:\d+)?: price is 'cheap', but the catalogue has numbers in this column",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_gets_one_clear_message(
    name: str, world: World, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, message = BAD[name]
    old = next(row["item_id"] for row in world.items if row["item_id"] not in world.new)
    rows = [{k: v.replace("OLD", old) for k, v in row.items()} for row in change(read(world.later / "items.csv"))]
    file = write(run.parent / "bad" / "items.csv", rows)
    monkeypatch.setattr(Registry, "discover", classmethod(lambda cls: registry()))
    before = contents(run)
    done = CliRunner().invoke(cli, ["data", "import", str(file), "--into", str(run)])
    assert isinstance(done.exception, ReasonRecError)
    assert __import__("re").search(message, done.exception.message), done.exception.message
    assert contents(run) == before


def test_command_line(world: World, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "discover", classmethod(lambda cls: registry()))
    rows = [{**row, "colour": "red"} for row in read(world.later / "items.csv")]
    write(run.parent / "more" / "items.csv", rows)
    shutil.copytree(world.later / "images", run.parent / "more" / "images")
    done = CliRunner().invoke(cli, ["data", "import", str(run.parent / "more"), "--into", str(run)])
    assert done.exit_code == 0, done.output
    assert f"15 items added, 15 with text, 15 with image; {run} now recommends from 150" in done.output
    assert "not read, because the catalogue has no such fields: color" in done.output
    assert "results and report still describe the 135 items of the fit" in done.output
    asked = ["recommend", str(run), "--history", world.new[0], "--candidates", ",".join(world.new[1:4]), "--json"]
    assert len(json.loads(CliRunner().invoke(cli, asked).output)["items"]) == 3
    for options in (["--out", "x"], ["--extend", "x"], ["--name", "x"], ["--force"]):
        refused = CliRunner().invoke(cli, ["data", "import", str(world.later), "--into", str(run), *options])
        assert f"{options[0]} cannot be combined with --into" in str(refused.exception)
    nowhere = CliRunner().invoke(cli, ["data", "import", str(world.later)])
    assert "Name the dataset's folder (--out), or a run (--into)" in str(nowhere.exception)
    unfitted = CliRunner().invoke(cli, ["data", "import", str(world.later), "--into", str(world.later)])
    assert "this folder is not a run" in str(unfitted.exception)
