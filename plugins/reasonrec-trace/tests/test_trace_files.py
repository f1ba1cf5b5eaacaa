from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasonrec_trace import (
    Header,
    RankedAnswer,
    TraceBatch,
    TraceRecord,
    TraceWriter,
    UncertaintyValue,
    open_trace,
    read_trace,
)
from reasonrec_trace.schema import FORMAT, HEADER, SCHEMA, VALID

from reasonrec_core.errors import DataError, RunError
from reasonrec_core.types import History, QueryBatch, Ranking, Route, Step, StepKind, Task, Uncertainty

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
UNIT = st.floats(0, 1, width=32)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
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
    uncertainty=st.dictionaries(
        TEXT, st.builds(UncertaintyValue, UNIT, st.none() | UNIT, st.none() | UNIT), max_size=3
    ),
    delegate=st.none() | TEXT,
    ranking=IDS,
    scores=st.lists(FINITE, max_size=4).map(tuple),
    answers=st.dictionaries(TEXT, st.builds(RankedAnswer, IDS, st.lists(FINITE, max_size=3).map(tuple)), max_size=2),
    quality=st.dictionaries(TEXT, st.dictionaries(TEXT, st.floats(-9, 99), max_size=2), max_size=2),
    steps=st.lists(STEPS, max_size=3).map(tuple),
    latency=st.none() | st.floats(0, 1e6),
    seconds=st.dictionaries(TEXT, st.floats(0, 9), max_size=2),
    tokens=st.integers(0, 2**40),
    policy_tokens=st.none() | st.integers(0, 2**40),
    gain=st.none() | st.floats(-1, 1, width=32),
    part=st.just("test"),
    key=st.integers(-1, 2**62),
    time=st.none() | st.integers(0, 2**40),
    history_length=st.integers(0, 2**40),
    candidates=IDS,
    versions=st.just("0123456789abcdef"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, max_size=6), st.sampled_from(["trace.parquet", "trace.jsonl"]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, records: list[TraceRecord], name: str
) -> None:
    path = tmp_path_factory.mktemp("trace") / name
    header = Header(name="shoes", versions={"0123456789abcdef": {"data": "1"}}, batch_seconds={"a": 0.1})
    with TraceWriter(path, header) as trace:
        trace.write(records[:2])
        trace.write(records[2:])
    assert list(read_trace(path)) == records
    assert list(open_trace(path).records()) == records
    assert read_trace(path)[:] == records
    assert read_trace(path).header == header


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
        gain=rng.random(n, dtype=np.float32) - 0.5,
        uncertainty={
            "evidence-horizon": Uncertainty(early := rng.random(n, dtype=np.float32), "before", epistemic=early),
            "entropy": Uncertainty(after, "after"),
        },
        delegates=["popularity" if i % 2 else None for i in range(n)],
        answers={"profile": nobody, "popularity": Ranking(ranked, scores)},
        quality={"profile": {"HR@10": np.ones(n)}, "popularity": {"HR@10": after.astype(float), "MRR@10": np.zeros(n)}},
        steps={1: (Step(StepKind.INFER, "likes “film noir”", (0, "genre"), 0.5, (("comedy", 0.2),)),)},
        latency=after.astype(float),
        seconds={"popularity": after.astype(float)},
        tokens=np.arange(n, dtype=np.int64),
    )


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl"])
def test_a_batch_equals_its_records(tmp_path: Path, name: str) -> None:
    source = batch(9)
    items, users = [f"item {i}" for i in range(40)], [f"u{i}" for i in range(8)]
    header = Header(versions={"abc": {"data": "1"}})
    with TraceWriter(tmp_path / name, header, item_ids=items, user_ids=users, history=3) as out:
        out.write_batch(source)
    trace = read_trace(tmp_path / name)
    assert [r.query for r in trace] == list(range(100, 109))
    assert [r.user for r in trace] == [None, *users]
    assert [r.key for r in trace] == list(range(-1, 8))
    assert trace.versions[trace[0].versions] == {"data": "1"}
    for i, record in enumerate(trace):
        past = source.queries.history.row(i)
        assert record.history == tuple(items[j] for j in past[-3:])
        assert record.history_length == len(past)
        assert record.targets == (items[source.targets[i]],)
        real = source.ranking.items[i] >= 0
        assert record.ranking == tuple(items[j] for j in source.ranking.items[i][real])
        assert record.scores == tuple(source.ranking.scores[i][real])
        assert record.answers == {"popularity": RankedAnswer(record.ranking, record.scores)}
        assert record.risk == source.risk[i]
        assert record.gain == source.gain[i]
        early = float(source.uncertainty["evidence-horizon"].total[i])
        late = float(source.uncertainty["entropy"].total[i])
        told = {"evidence-horizon": UncertaintyValue(early, early)}
        assert record.uncertainty == (told | {"entropy": UncertaintyValue(late)} if i % 2 else told)
        assert record.quality["popularity"] == ({"HR@10": late, "MRR@10": 0.0} if i % 2 else {"MRR@10": 0.0})
        assert record.latency == (late if i % 2 else None)
        assert record.seconds == ({"popularity": late} if i % 2 else {})
        assert record.steps == source.steps.get(i, ())
        assert record.delegate == source.delegates[i]
    again = tmp_path / f"again-{name}"
    with TraceWriter(again, header) as out:
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
        gain=None,
        uncertainty={},
        answers={},
        quality={},
        steps={},
        latency=None,
        seconds={},
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


@pytest.fixture(params=["trace.parquet", "trace.jsonl"])
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A trace of 300 decisions."""
    path = tmp_path / request.param
    with TraceWriter(path, item_ids=[str(i) for i in range(40)], user_ids=[f"u{i}" for i in range(300)]) as out:
        out.write_batch(batch(300))
    return path


FOREIGN = {
    "absent": (None, "there is no such trace"),
    "empty": (b"", "the file is empty"),
    "text": (b"query,user\n1,2\n", "neither Parquet nor JSON lines"),
    "nearly Parquet": (b"PAR1 not really", "cut off or damaged"),
    "nearly JSON": (b'{"reasonrec.trace": ', "cut off or damaged"),
    "other JSON": (b'{"a": 1}\n', "there is no 'reasonrec.trace'"),
    "a list of JSON": (b"[1]\n", "neither Parquet nor JSON lines"),
    "no format": (b'{"reasonrec.trace": {}}\n', "has no format"),
    "an older one": (b'{"reasonrec.trace": {"format": 1}}\n', "has format 1.*Run the pipeline again"),
    "a newer one": (b'{"reasonrec.trace": {"format": 9}}\n', r"format 9.*reads format \d.*pip install --upgrade"),
    "a bad header": (b'{"reasonrec.trace": {"format": 2, "k": "x"}}\n', "header is damaged"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_trace_is_refused(tmp_path: Path, kind: str) -> None:
    path, (content, said) = tmp_path / "trace.parquet", FOREIGN[kind]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=rf"(?s)trace\.parquet.*{said}"):
        read_trace(path)


@pytest.mark.parametrize("metadata", [{}, {HEADER: b"{"}, {HEADER: json.dumps({"format": FORMAT}).encode()}])
def test_a_foreign_table_is_refused(tmp_path: Path, metadata: dict[bytes, bytes]) -> None:
    table = pa.table({"a": [1]})
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "trace.parquet")
    with pytest.raises(RunError, match=r"trace\.parquet"):
        read_trace(tmp_path / "trace.parquet")


def test_a_trace_that_is_cut_off_anywhere_is_refused(sound: Path) -> None:
    whole = sound.read_bytes()
    lines = sound.suffix == ".jsonl"
    at_lines = [i + 1 for i, byte in enumerate(whole) if byte == 10][:-1][::40] if lines else []
    for stop in [*range(1, len(whole) - 1, len(whole) // 40), *at_lines]:
        sound.write_bytes(whole[:stop])
        with pytest.raises(RunError, match=r"trace\.(parquet|jsonl)"):
            list(open_trace(sound).records())


@pytest.mark.parametrize("sound", ["trace.parquet"], indirect=True)
def test_a_flipped_bit_in_the_data_is_refused_or_changes_nothing(sound: Path) -> None:
    whole, records = sound.read_bytes(), list(read_trace(sound))
    for place in range(4, len(whole) // 2, len(whole) // 60):
        sound.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            found = list(read_trace(sound))
        except RunError:
            continue
        assert found == records


BROKEN_LINES = {
    "no object": "[1, 2]",
    "a key is missing": '{"query": 1}',
    "a number as text": {"query": "one"},
    "a list as number": {"history": 3},
    "a map as list": {"uncertainty": [1]},
    "a step that is none": {"steps": [{"kind": "guess"}]},
    "half a character": {"reason": "\ud800"},
}


@pytest.mark.parametrize("change", BROKEN_LINES.values(), ids=BROKEN_LINES)
def test_a_line_that_is_no_decision_is_named(tmp_path: Path, change: str | dict[str, object]) -> None:
    path = tmp_path / "trace.jsonl"
    with TraceWriter(path, item_ids=[str(i) for i in range(40)], user_ids=[str(i) for i in range(8)]) as out:
        out.write_batch(batch(4))
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] = change if isinstance(change, str) else json.dumps({**json.loads(lines[2]), **change})
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"trace\.jsonl"):
        list(open_trace(path).records())


def test_lines_after_the_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with TraceWriter(path) as out:
        out.write([])
    with path.open("a") as file:
        file.write("{}\n")
    with pytest.raises(RunError, match=r"trace\.jsonl:3.*after the end"):
        read_trace(path)


def test_rows_are_grouped_whatever_the_size_of_the_batches(tmp_path: Path) -> None:
    source = replace(batch(256, lengths=3), steps={})
    with TraceWriter(
        tmp_path / "t", item_ids=[str(i) for i in range(40)], user_ids=[str(i) for i in range(256)]
    ) as out:
        for _ in range(33):
            out.write_batch(source)
    file = pq.read_metadata(tmp_path / "t")
    assert [file.row_group(i).num_rows for i in range(file.num_row_groups)] == [4096, 4096, 256]


def test_parts_are_told_apart(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "t", item_ids=[str(i) for i in range(40)], user_ids=[str(i) for i in range(9)]) as out:
        out.write_batch(batch(9))
        out.write_batch(replace(batch(5), part=VALID, routes=None, reasons=None, ranking=None))
    assert len(read_trace(tmp_path / "t", ["risk"])) == 9
    assert [r.route for r in open_trace(tmp_path / "t").records(VALID)] == [""] * 5
    assert len(read_trace(tmp_path / "t", part=None)) == 14


def test_many_decisions_are_written_in_groups(tmp_path: Path) -> None:
    source = replace(batch(20_000, items=200, lengths=60), steps={})
    items, users = [f"{i:010d}" for i in range(200)], [f"user-{i}" for i in range(20_000)]
    with TraceWriter(tmp_path / "t", item_ids=items, user_ids=users) as out:
        out.write_batch(source)
    assert pq.read_metadata(tmp_path / "t").num_row_groups == 5
    assert pq.read_schema(tmp_path / "t").remove_metadata() == SCHEMA
