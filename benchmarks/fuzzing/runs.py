"""Settings, and the files of a finished run, changed or damaged."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tomli_w
import yaml

from fuzzing.attempts import Case, call
from fuzzing.mutations import NUMBERS, TEXTS, damage
from fuzzing.trees import VALUES, change_tree, draw_value, list_places
from reasonrec_core.pipeline.stage_stamp import STAMP, Stamp, stamp_folder

WORK = {"resamples": 100, "latency_sample": 1, "faithfulness": 2, "k": [2, 5]}
PIPELINES: tuple[dict[str, Any], ...] = (
    {"name": "a", "delegates": ["popularity"], "evaluate": WORK},
    {
        "name": "b",
        "seed": 3,
        "policy": {"name": "profile"},
        "delegates": [{"name": "popularity"}, {"name": "transitions", "window": 2, "search": False}],
        "uncertainty": ["entropy"],
        "router": {"delegate": "best", "share": 0.4, "stage": "before", "estimators": ["evidence-horizon"]},
        "split": {"kind": "leave-one-out", "negatives": 5},
        "evaluate": {**WORK, "tasks": ["sequential"]},
        "report": {"cards": 1, "steps": 5},
        "trace": {"requests": True},
    },
)
DUMP: Mapping[str, Callable[[Any], str]] = {
    "toml": lambda tree: tomli_w.dumps(_without_none(tree)),
    "yaml": lambda tree: yaml.safe_dump(tree, allow_unicode=True),
    "json": json.dumps,
}


def _without_none(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {str(key): _without_none(value) for key, value in tree.items() if value is not None}
    return [_without_none(value) for value in tree if value is not None] if isinstance(tree, list) else tree


def write_shop(folder: Path) -> Path:
    """A log that is just large enough for every part of a pipeline."""
    chance, rows = Random(0), ["user_id,item_id,timestamp"]
    for user in range(12):
        rows += [
            f"u{user},i{item},{1_600_000_000 + 100 * user + n}" for n, item in enumerate(chance.sample(range(10), 5))
        ]
    folder.mkdir(parents=True)
    (folder / "interactions.csv").write_text("\n".join(rows) + "\n")
    table = [f"i{item},Thing {item},brand-{item % 3}" for item in range(10)]
    (folder / "items.csv").write_text("\n".join(["item_id,title,brand", *table]) + "\n")
    return folder


class Runs:
    """A shop, and a finished run of it that is copied for each try."""

    def __init__(self, place: Path) -> None:
        self.shop = write_shop(place / "shop")
        self.run = place / "run"
        tree = {**PIPELINES[1], "data": {"path": str(self.shop)}}
        (place / "pipeline.toml").write_text(tomli_w.dumps(tree))
        for arguments in (
            ["run", str(place / "pipeline.toml"), "--out", str(self.run)],
            ["recommend", str(self.run), "--user", "u1"],
        ):
            if (ended := call(arguments)).code:
                raise RuntimeError(ended.err)
        self.files = sorted(path.relative_to(self.run) for path in self.run.rglob("*") if path.is_file())

    def make_settings(self, kind: str, folder: Path, chance: Random) -> Case:
        """A settings file in which something is odd, and ``run`` or ``fit``."""
        tree = {**chance.choice(PIPELINES), "data": {"path": str(self.shop)}}
        if chance.random() < 0.85:
            tree = change_tree(tree, chance)
        try:
            text = DUMP[kind](tree)
        except (TypeError, ValueError, RecursionError, OverflowError, yaml.YAMLError):
            text = json.dumps(tree)
        data = text.encode("utf-8", "surrogatepass")
        if chance.random() < 0.5:
            data = damage(data, chance)
        file = folder / f"pipeline.{kind}"
        file.write_bytes(data)
        out = folder / "out"
        return Case([chance.choice(("run", "fit")), str(file), "--out", str(out)], out)

    def make_overrides(self, folder: Path, chance: Random) -> Case:
        """``--set`` with odd keys and values."""
        tree = {**chance.choice(PIPELINES), "data": {"path": str(self.shop)}}
        (folder / "pipeline.toml").write_text(tomli_w.dumps(tree))
        words, places = [], list_places(tree)
        for _ in range(chance.choice((1, 1, 2, 3))):
            key = ".".join(map(str, chance.choice(places)))
            if chance.random() < 0.15:
                key = chance.choice(
                    (
                        key + ".x",
                        key[:-1],
                        "",
                        ".",
                        "a..b",
                        "a" * 200,
                        "split.seed",
                        "delegates.9",
                        chance.choice(TEXTS),
                    )
                )
            odd = (
                chance.choice(NUMBERS),
                chance.choice(TEXTS),
                _show(draw_value(chance)),
                _show(chance.choice(VALUES)),
            )
            value = (
                chance.choice(odd)
                if chance.random() < 0.6
                else chance.choice(("0", "1", "2", "7", "0.5", "true", "[1]", "[]"))
            )
            words += ["--set", (key + ("=" if chance.random() < 0.96 else "") + value).replace("\0", "")]
        out = folder / "out"
        return Case(["fit", str(folder / "pipeline.toml"), *words, "--out", str(out)], out)

    def make_run(self, folder: Path, chance: Random) -> Case:
        """A run of which a file was changed, perhaps with a stamp that says that it is whole."""
        run = Path(shutil.copytree(self.run, folder / "run"))
        for _ in range(chance.choice((1, 1, 2))):
            name = chance.choice(self.files)
            if (run / name).is_file():
                _change_file(run / name, chance)
            if name.parts[0] == "stages" and chance.random() < 0.7:
                _stamp_again(run / "stages" / name.parts[1])
        return Case(_ask(run, self.shop, chance), kept=[folder])


def _show(value: Any) -> str:
    try:
        return json.dumps(value)
    except (ValueError, RecursionError):
        return str(value)


def _ask(run: Path, shop: Path, chance: Random) -> list[str]:
    asked: Mapping[str, list[list[str]]] = {
        "recommend": [
            ["recommend", str(run), "--history", "i1,i2", "--why"],
            ["recommend", str(run), "--user", "u1", "--json", "--why"],
            ["recommend", str(run), "--history", "i1", "--candidates", "i2,i3"],
        ],
        "report": [["report", str(run)]],
        "trace": [
            ["trace", "show", str(run)],
            ["trace", "stats", str(run)],
            ["trace", "replay", str(run), "--share", "0.5"],
            ["trace", "show", str(run), "--json"],
        ],
        "again": [["evaluate", str(run)], ["run", str(run / "config.toml"), "--out", str(run)]],
        "import": [["data", "import", str(shop / "items.csv"), "--into", str(run)]],
    }
    kinds = chance.choices(sorted(asked), [1, 0.3, 4, 3, 3])
    return chance.choice(asked[kinds[0]])


def _change_file(path: Path, chance: Random) -> None:
    """Other content in the same form, or damaged bytes."""
    data = path.read_bytes()
    if path.suffix == ".json" and chance.random() < 0.8:
        text = _show(change_tree(json.loads(data), chance))
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
    elif path.suffix == ".jsonl" and chance.random() < 0.7:
        lines = [json.loads(line) for line in data.splitlines()]
        path.write_text(
            "\n".join(_show(change_tree(line, chance)) for line in lines), encoding="utf-8", errors="replace"
        )
    elif path.suffix == ".npy" and chance.random() < 0.6:
        path.write_bytes(_other_array(np.load(path), chance))
    elif path.suffix == ".npz" and chance.random() < 0.6:
        with np.load(path) as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        name = chance.choice([*kept, "x"])
        kept[name] = np.load(io.BytesIO(_other_array(kept.get(name, np.zeros(1)), chance)))
        if chance.random() < 0.3:
            kept.pop(chance.choice(list(kept)))
        stream = io.BytesIO()
        np.savez(stream, **kept)
        path.write_bytes(stream.getvalue())
    elif chance.random() < 0.1:
        path.unlink()
    else:
        path.write_bytes(damage(data, chance))


def _other_array(array: Any, chance: Random) -> bytes:
    kinds = (
        lambda: array.astype(np.float64) * np.nan if array.dtype.kind in "iufb" else array,
        lambda: np.full_like(array, -7) if array.dtype.kind in "if" else array,
        lambda: np.full_like(array, 10**9) if array.dtype.kind in "if" and array.dtype.itemsize >= 4 else array,
        lambda: array.ravel()[:-1],
        lambda: np.zeros((0, *array.shape[1:]), array.dtype),
        lambda: array[..., None],
        lambda: array.astype("U9"),
        lambda: np.array(3),
        lambda: array.astype(np.complex64) if array.dtype.kind in "iuf" else array,
        lambda: np.atleast_1d(array)[::-1],
    )
    stream = io.BytesIO()
    np.save(stream, chance.choice(kinds)())
    return stream.getvalue()


def _stamp_again(folder: Path) -> None:
    """What somebody does who wants the stage to be taken for whole."""
    try:
        stamp = Stamp.read(folder)
    except Exception:  # noqa: BLE001 - the stamp itself was changed
        return
    (folder / STAMP).unlink()
    stamp_folder(folder, stamp.key, parts=stamp.parts, made=stamp.made, seconds=stamp.seconds, notes=stamp.notes)
