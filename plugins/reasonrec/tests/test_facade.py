"""`import reasonrec as rr`: what the documentation shows works, quickly, with paths as text and frames of any kind."""

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reasonrec as rr

from reasonrec_core.testing import tiny_dataset

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("facade")


@pytest.fixture(scope="module")
def frames(shop: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Log and items of the tiny shop, as their owner keeps them."""
    tiny = tiny_dataset(shop / "tiny")
    log = tiny.interactions
    users = tiny.users.column("user_id").take(pa.array(log.users)).to_pylist()
    items = [tiny.catalog.ids[i] for i in log.items]
    return (
        pd.DataFrame({"customer": users, "item_id": items, "timestamp": log.times}),
        tiny.catalog.table.to_pandas().drop(columns="image"),
    )


@pytest.fixture(scope="module")
def ds(frames: tuple[pd.DataFrame, pd.DataFrame], shop: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REASONREC_CACHE", str(shop / "cache"))
        return rr.Dataset.from_frames(frames[0], items=frames[1], columns={"user_id": "customer"})


@pytest.fixture(scope="module")
def run(ds: Any, shop: Path) -> Any:
    delegates = ["popularity", rr.make("transitions", window=3)]
    settings = {"evaluate": {"resamples": 500, "faithfulness": 0, "latency_sample": 10}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REASONREC_CACHE", str(shop / "cache"))
        return rr.run(ds, policy="profile", delegates=delegates, out=str(shop / "run"), seed=3, **settings)


def test_the_import_is_lazy() -> None:
    code = "import sys, reasonrec; print(*sys.modules); reasonrec.Dataset; reasonrec.run; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert not {"numpy", "pyarrow", "pydantic", "narwhals", "torch"} & set(out[0].split())
    assert not {"torch", "pandas", "polars", "duckdb", "transformers", "IPython"} & set(out[1].split())


def test_the_package_is_thin() -> None:
    source = Path(rr.__file__).parent
    assert sum(path.read_text(encoding="utf-8").count("\n") for path in source.glob("*.py")) <= 400
    assert (source / "py.typed").is_file()
    assert {*rr.__all__} <= {*dir(rr)}
    with pytest.raises(AttributeError, match="nothing"):
        _ = rr.nothing


def test_the_examples_of_the_docstrings_run(
    frames: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import reasonrec_frames.wording

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    for module, names in ((rr, {"log": frames[0]}), (reasonrec_frames.wording, {})):
        found = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS)
        assert (found.failed, found.attempted > 1) == (0, True)


def test_metrics_are_those_of_the_run(run: Any) -> None:
    assert set(run.metrics) == {"profile", "popularity", "transitions"}
    table = run.metrics.frame()
    row = table[(table["system"] == "profile") & (table["metric"] == "NDCG@10")].iloc[0]
    wanted = run.results.systems["profile"]["NDCG@10"]
    assert (row["value"], row["low"], row["high"]) == (wanted.value, wanted.low, wanted.high)
    assert "profile" in repr(run)
    assert "<table>" in run._repr_html_()
    assert "beats" in " ".join(run.metrics.sentences())


def test_lists_of_a_run_measured_again_give_its_numbers(run: Any, ds: Any) -> None:
    """Golden: every metric, value and interval, of `rr.evaluate` is that of ``metrics.json`` for the same lists."""
    stored, systems = run.dataset, {}
    for name in ("profile", "popularity", "transitions"):
        rows = pq.read_table(run.path / "users" / f"sequential-{name}.parquet").to_pylist()
        made = [
            (stored.users.column("user_id")[row["user"]].as_py(), stored.catalog.ids[item], score)
            for row in rows
            for item, score in zip(row["items"], row["scores"], strict=True)
        ]
        systems[name] = pd.DataFrame(made, columns=["user_id", "item_id", "score"])
    found = rr.evaluate(systems, ds, against=None, seed=3, resamples=500)
    assert {name: dict(found[name]) for name in systems} == {name: dict(run.results.systems[name]) for name in systems}
    fitted = rr.evaluate(systems["profile"], ds, seed=3, resamples=500)
    assert dict(fitted["popularity"]) == dict(run.results.systems["popularity"])
    wanted = ("profile", "popularity", "HR@10")
    pair = next(row for row in run.results.comparisons if (row.a, row.b, row.metric) == wanted)
    mine = next(row for row in fitted.comparisons if row.metric == "HR@10")
    assert (mine.difference, mine.low, mine.high, mine.p) == (pair.difference, pair.low, pair.high, pair.p)


def test_a_finished_stage_is_used_again_and_paths_are_text_or_not(run: Any, ds: Any, shop: Path) -> None:
    stage = run.path / "stages" / "policy-profile"
    before = stage.stat().st_mtime_ns
    settings = {"evaluate": {"resamples": 500, "faithfulness": 0, "latency_sample": 10}}
    delegates = ["popularity", {"name": "transitions", "window": 3}]
    again = rr.run(str(ds.folder), "profile", delegates, shop / "run", seed=3, name="frames", **settings)
    assert stage.stat().st_mtime_ns == before
    assert dict(again.metrics["profile"]) == dict(run.metrics["profile"])
    assert dict(rr.open(str(run.path)).metrics["profile"]) == dict(run.metrics["profile"])


def test_report_and_plot(run: Any, tmp_path: Path) -> None:
    report = run.report(str(tmp_path / "pages"))
    assert Path(report).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert report.sentences
    assert run.report().path == run.path / "report.html"
    plot = run.plot("NDCG@10")
    assert plot._repr_svg_().startswith("<svg")
    assert plot.save(tmp_path / "plot.svg").read_text(encoding="utf-8") == plot.svg


def test_recommendations_are_frames(run: Any, ds: Any) -> None:
    everybody = run.recommend(users="all", k=4)
    assert list(everybody.columns) == ["user_id", "rank", "item_id", "title", "score", "by", "confidence", "because"]
    assert everybody["user_id"].drop_duplicates().tolist() == sorted(ds.user_index)
    assert everybody["rank"].tolist() == [1, 2, 3, 4] * 48
    assert set(everybody["by"]) == {"profile"}
    three = run.recommend(users=["user-02", "user-00"], k=4, because=True)
    assert three["user_id"].tolist() == ["user-02"] * 4 + ["user-00"] * 4
    known = everybody.drop(columns="because").set_index("user_id").loc[["user-02", "user-00"]].reset_index()
    pd.testing.assert_frame_equal(three.drop(columns="because"), known)
    log, first = ds.interactions, three["because"][0]
    past = {ds.catalog.ids[item] for item in log.items[log.users == ds.user_index["user-02"]]}
    assert {cause["item_id"] for cause in first} <= past
    assert 0 < sum(cause["share"] for cause in first) < 1.001


def test_a_request_rules_items_out_and_edits_reasons(run: Any, ds: Any) -> None:
    history = ["item-01", np.int64(99), "item-05"]  # 99 is unknown and skipped
    plain = run.recommend(history=history, k=3)
    assert plain["user_id"].isna().all()
    without = run.recommend(history=history, k=3, exclude=[plain["item_id"][0]])
    assert without["item_id"][:2].tolist() == plain["item_id"][1:].tolist()
    only = run.recommend(history=history, k=3, only=["item-20", "item-30"])
    assert sorted(only["item_id"]) == ["item-20", "item-30"]
    stock = pd.DataFrame({"item_id": ["item-20", "item-30"]})
    for column in (stock["item_id"], stock["item_id"].to_numpy(), pa.table(stock)["item_id"]):
        assert run.recommend(history=history, k=3, only=column).equals(only)
    where = run.recommend(users=["user-00", "user-01"], k=5, where={"price": {"max": 20}, "brand": ["Acorn", "Birch"]})
    rows = ds.catalog.table.to_pandas().set_index("item_id").loc[where["item_id"]]
    assert len(rows) > 2
    assert (rows["price"] <= 20).all()
    assert set(rows["brand"]) <= {"Acorn", "Birch"}
    assumed = run.recommend(history=history, k=3, assume={"brand": "Cedar"})
    edited = run.answer(history=history, k=3, assume={"brand": "Cedar"})
    assert assumed["item_id"].tolist() == [item.id for item in edited.items] != plain["item_id"].tolist()
    each = run.recommend(users=["user-00"], k=3, assume={"brand": "Cedar"})
    assert each["user_id"].tolist() == ["user-00"] * 3


def test_similar_items_and_what_they_share(run: Any) -> None:
    found = run.similar("item-05", k=3)
    assert list(found.columns) == ["rank", "item_id", "title", "score", "by", "reasons"]
    assert found["rank"].tolist() == [1, 2, 3]
    assert "item-05" not in set(found["item_id"])
    assert all(len(reasons) for reasons in found["reasons"])
    content = run.similar("item-05", by="content", k=2, exclude=list(found["item_id"]))
    assert set(content["by"]) == {"content"}
    assert not {*content["item_id"]} & {*found["item_id"]}
    with pytest.raises(rr.ReasonRecError, match="item-99"):
        run.similar("item-99")


def test_answers_are_shown_in_notebooks(run: Any) -> None:
    from dataclasses import replace

    answer = run.answer(history=["item-01"], k=2, assume={"brand": "Cedar"})
    page = answer._repr_html_()
    assert "brand is Cedar" in page
    assert page.count("<tr>") == 3
    odd = replace(answer, items=tuple(replace(item, title="<b>&") for item in answer.items))
    assert "<b>" not in odd._repr_html_()
    assert "&lt;b&gt;&amp;" in odd._repr_html_()


def test_new_users_are_answered_and_named(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = run.recommend(users=["user-03", "somebody"], k=2)
    assert found["user_id"].tolist() == ["user-03"] * 2 + ["somebody"] * 2
    assert "1 user is not in the data: their recommendations are not personalised" in capsys.readouterr().err
    assert found["item_id"][2:].tolist() == run.recommend(history=[], k=2)["item_id"].tolist()


def test_requests_that_cannot_be_are_refused_in_python_s_words(run: Any) -> None:
    for request, message in (
        ({}, "either users or a history"),
        ({"users": "all", "history": []}, "either users or a history"),
        ({"user": "user-01"}, r"a request has no 'user'. Write users="),
        ({"users": "all", "wher": {}}, "Did you mean 'where'"),
        ({"users": "user-01"}, "users must be"),
        ({"users": pd.DataFrame({"user_id": ["user-01"]})}, "users must be a list of ids, not a frame"),
        ({"history": [], "only": pd.DataFrame({"item_id": ["item-01"]})}, "only must be a list of ids, not a frame"),
        ({"users": ["user-01"], "candidates": ["item-01"]}, "'candidates' cannot be used for many users at once"),
        ({"history": [], "k": 0}, "k must be a whole number"),
        ({"history": [], "diversity": 2}, "^diversity: must be a number from 0 to 1"),
        ({"history": ["item-01"], "where": {"colour": "red"}}, "colour"),
    ):
        with pytest.raises(rr.ReasonRecError, match=message):
            run.recommend(**request)


def test_final_models_answer_and_the_evaluated_ones_stay(ds: Any, shop: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(shop / "cache"))
    small = {"resamples": 100, "latency_sample": 1}
    made = rr.run(ds, delegates=["popularity"], out=shop / "final", final=True, evaluate=small)
    assert made.answer(user="user-01").models == "final"
    assert rr.open(made.path, models="evaluated").answer(user="user-01").models == "evaluated"


def test_a_file_is_opened_by_its_path(frames: tuple[pd.DataFrame, pd.DataFrame], shop: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(shop / "cache"))
    path = shop / "orders.csv"
    frames[0].to_csv(path, index=False)
    opened = rr.Dataset.open(str(path), columns={"user_id": "customer"}, frames="polars")
    assert (opened.n_users, opened.n_items) == (48, 39)
    assert type(opened.split().train).__module__.startswith("polars")
    assert "users" in opened._repr_html_()
    with pytest.raises(rr.ReasonRecError, match="columns: no file has a column 'no' to read as user_id"):
        rr.Dataset.open(path, columns={"user_id": "no"})


def test_vectors_of_those_who_have_them(run: Any, ds: Any) -> None:
    with pytest.raises(rr.ReasonRecError, match=r"none of these systems has item vectors \(profile, popularity"):
        run.item_vectors()
    with pytest.raises(rr.ReasonRecError, match="'popularity' has no user vectors"):
        run.user_vectors(by="popularity")
    als = rr.make("implicit-als", factors=4).fit(ds)
    assert np.stack(als.item_vectors()["vector"]).shape == (40, 4)


def test_what_cannot_run_is_said(ds: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for settings, message in (
        ({"policy": "profle"}, "no policy is called 'profle'. Did you mean 'profile'?"),
        ({"delegate": ["popularity"]}, "delegate: unknown key. Did you mean 'delegates'?"),
        ({"policy": {"name": "profile", "fold": 2}}, "fold"),
    ):
        with pytest.raises(rr.ReasonRecError, match=message.replace("?", r"\?")):
            rr.run(ds, out="nothing", **settings)
    with pytest.raises(rr.ReasonRecError):
        rr.open(tmp_path / "nothing")
    assert not list(tmp_path.iterdir())
