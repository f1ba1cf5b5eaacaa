from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrec_core.errors import DataError, RunError
from reasonrec_core.trace import SCHEMA, TraceBatch, TraceRecord, TraceWriter, read_trace
from reasonrec_core.types import History, QueryBatch, Ranking, Route, Step, StepKind, Task

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
UNIT = st.floats(0, 1, width=32)
FINITE = st.floats(allow_nan=False, width=32)
STEPS = st.builds(
    Step,
    st.sampled_from(StepKind),
    TEXT,
    st.lists(st.integers(0, 99) | TEXT, max_size=3).map(tuple),
    st.floats(0, 1),
    st.lists(st.tuples(TEXT, st.floats(0, 1)), max_size=2).map(tuple),
)
IDS = st.lists(TEXT, max_size=4).map(tuple)
RECORDS = st.builds(
    TraceRecord,
    query=st.integers(0, 2**40),
    user=st.none() | TEXT,
    task=st.sampled_from(Task).map(str),
    history=IDS,
    targets=IDS,
    route=st.sampled_from(Route).map(str),
    reason=TEXT,
    risk=st.none() | UNIT,
    confidence=st.none() | UNIT,
    uncertainty=st.dictionaries(TEXT, UNIT, max_size=3),
    delegate=st.none() | TEXT,
    ranking=IDS,
    scores=st.lists(FINITE, max_size=4).map(tuple),
    policy_ranking=IDS,
    delegate_ranking=IDS,
    steps=st.lists(STEPS, max_size=3).map(tuple),
    latency=st.floats(0, 1e6),
    tokens=st.integers(0, 2**40),
    versions=st.just("0123456789abcdef"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, max_size=6))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, records: list[TraceRecord]) -> None:
    path = tmp_path_factory.mktemp("trace") / "trace.parquet"
    with TraceWriter(path) as trace:
        trace.write(records[:2])
        trace.write(records[2:])
    assert list(read_trace(path)) == records
    assert read_trace(path)[:] == records


def batch(n: int, *, items: int = 40, seed: int = 0, lengths: int = 6) -> TraceBatch:
    rng = np.random.default_rng(seed)
    rows = [list(rng.integers(0, items, rng.integers(0, lengths))) for _ in range(n)]
    ranked = rng.permuted(np.tile(np.arange(items, dtype=np.int32), (n, 1)), axis=1)[:, :10]
    scores = -np.sort(-rng.random((n, 10), dtype=np.float32), axis=1)
    ranked[0, 7:], scores[0, 7:] = -1, -np.inf
    nobody = Ranking(np.full((n, 10), -1, np.int32), np.full((n, 10), -np.inf, np.float32))
    after = rng.random(n, dtype=np.float32)
    after[::2] = np.nan
    return TraceBatch(
        first=100,
        queries=QueryBatch(Task.SEQUENTIAL, np.arange(n, dtype=np.int32) - 1, History.of(rows)),
        routes=[Route.REPLACE if i % 2 else Route.SELF for i in range(n)],
        reasons=["few items"] * n,
        ranking=Ranking(ranked, scores),
        target_indptr=np.arange(n + 1, dtype=np.int64),
        targets=rng.integers(0, items, n, dtype=np.int32),
        risk=rng.random(n, dtype=np.float32),
        confidence=rng.random(n, dtype=np.float32),
        uncertainty={"evidence-horizon": rng.random(n, dtype=np.float32), "entropy": after},
        delegates=["popularity" if i % 2 else None for i in range(n)],
        policy_ranking=nobody,
        delegate_ranking=Ranking(ranked, scores),
        steps={1: (Step(StepKind.INFER, "likes “film noir”", (0, "genre"), 0.5, (("comedy", 0.2),)),)},
        latency=rng.random(n),
        tokens=np.arange(n, dtype=np.int64),
    )


def test_a_batch_equals_its_records(tmp_path: Path) -> None:
    source = batch(9)
    items, users = [f"item {i}" for i in range(40)], [f"u{i}" for i in range(8)]
    with TraceWriter(tmp_path / "t.parquet", item_ids=items, user_ids=users, versions={"data": "1"}, history=3) as out:
        out.write_batch(source)
    trace = read_trace(tmp_path / "t.parquet")
    assert [r.query for r in trace] == list(range(100, 109))
    assert [r.user for r in trace] == [None, *users]
    assert trace.versions == {trace[0].versions: {"data": "1"}}
    for i, record in enumerate(trace):
        assert record.history == tuple(items[j] for j in source.queries.history.row(i)[-3:])
        assert record.targets == (items[source.targets[i]],)
        real = source.ranking.items[i] >= 0
        assert record.ranking == record.delegate_ranking == tuple(items[j] for j in source.ranking.items[i][real])
        assert record.scores == tuple(source.ranking.scores[i][real])
        assert record.policy_ranking == ()
        assert record.risk == source.risk[i]
        assert record.uncertainty.keys() == ({"evidence-horizon"} if i % 2 == 0 else {"evidence-horizon", "entropy"})
        assert record.steps == source.steps.get(i, ())
        assert record.delegate == source.delegates[i]
    again = tmp_path / "again.parquet"
    with TraceWriter(again) as out:
        out.write(trace)
    assert list(read_trace(again)) == list(trace)


def test_a_slice_of_queries_keeps_its_own_history(tmp_path: Path) -> None:
    source = batch(9)
    part = replace(
        source,
        queries=source.queries.take(np.array([4, 5])),
        target_indptr=source.target_indptr[4:7],
        **{name: getattr(source, name)[4:6] for name in ("routes", "reasons", "risk", "confidence", "delegates")},
        ranking=source.ranking.take(np.array([4, 5])),
        uncertainty={},
        policy_ranking=None,
        delegate_ranking=None,
        steps={},
        latency=None,
        tokens=None,
    )
    with TraceWriter(tmp_path / "t", item_ids=[str(i) for i in range(40)], user_ids=[str(i) for i in range(8)]) as out:
        out.write_batch(part)
    trace = read_trace(tmp_path / "t")
    assert [r.targets for r in trace] == [(str(t),) for t in source.targets[4:6]]
    assert trace[1].history == tuple(str(i) for i in source.queries.history.row(5))


def test_only_some_columns(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "t", item_ids=[str(i) for i in range(40)], user_ids=[str(i) for i in range(8)]) as out:
        out.write_batch(batch(9))
    trace = read_trace(tmp_path / "t", ["risk", "route"])
    assert trace.table.column_names == ["risk", "route"]
    assert trace[3].route == "replace"


def fail_while_writing(path: Path, error: Exception) -> None:
    with TraceWriter(path) as out:
        out.write([])
        raise error


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        fail_while_writing(tmp_path / "t", KeyError("x"))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        fail_while_writing(tmp_path / "t", OSError(28, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"PAR1 not really", "foreign"])
def test_what_is_no_trace_is_refused(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "trace.parquet"
    if content == "foreign":
        pq.write_table(pa.table({"a": [1]}), path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=r"trace\.parquet"):
        read_trace(path)


def test_many_decisions_are_fast(tmp_path: Path) -> None:
    source = replace(batch(20_000, items=200, lengths=60), steps={})
    items, users = [f"{i:010d}" for i in range(200)], [f"user-{i}" for i in range(20_000)]
    start = time.perf_counter()
    with TraceWriter(tmp_path / "t", item_ids=items, user_ids=users) as out:
        out.write_batch(source)
    assert time.perf_counter() - start < 5
    assert pq.read_metadata(tmp_path / "t").num_row_groups == 5
    assert pq.read_schema(tmp_path / "t").remove_metadata() == SCHEMA
