"""Item tables: longer catalogues, padding, and what newcomers are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reasonrec_torch.storage import load_module, make_filled, read_tensors, read_weights, save_module, write_tensors
from reasonrec_torch.tables import ItemTable, grow_rows

from reasonrec_core.errors import DataError, WeightsError
from reasonrec_core.types import History, QueryBatch, Task


def test_a_longer_table_takes_in_a_shorter_one(tmp_path: Path) -> None:
    short, long = ItemTable(4, 3), ItemTable(6, 3)
    with torch.no_grad():
        short.bias.copy_(torch.arange(4.0))
    save_module(short, tmp_path / "table.safetensors")
    load_module(long, tmp_path / "table.safetensors")
    assert torch.equal(long.vectors[:4], short.vectors)
    torch.testing.assert_close(long.vectors[4:], short.vectors.mean(0).expand(2, 3))
    assert long.bias.tolist() == [0, 1, 2, 3, 0, 0]
    assert int(long.fitted) == 4
    again = ItemTable(7, 3)
    again.load_state_dict(long.state_dict())
    assert int(again.fitted) == 4


def test_zeros_for_newcomers_if_wanted() -> None:
    assert grow_rows(torch.ones(2, 2), 3, "zero").tolist() == [[1, 1], [1, 1], [0, 0]]
    values = torch.ones(2)
    assert grow_rows(values, 2) is values


def test_a_shorter_table_refuses(tmp_path: Path) -> None:
    save_module(ItemTable(4, 3), tmp_path / "table.safetensors")
    with pytest.raises(DataError, match="3 items, but the table was fitted on 4"):
        load_module(ItemTable(3, 3), tmp_path / "table.safetensors")
    with pytest.raises(DataError, match="another model"):
        load_module(ItemTable(4, 2), tmp_path / "table.safetensors")


def test_padding_is_zero() -> None:
    table = ItemTable(4, 3)
    found = table(torch.tensor([[1, -1]]))
    assert torch.equal(found[0, 0], table.vectors[1])
    assert found[0, 1].tolist() == [0, 0, 0]


def test_newcomers_come_last_among_all_and_among_candidates() -> None:
    table = ItemTable(4, 2)
    table.fitted.fill_(2)
    asked = QueryBatch(Task.SEQUENTIAL, np.array([0], np.int32), History.of([[0]]))
    scores = table.put_newcomers_last(np.array([[3, -1, 5, 9]], np.float32), asked)
    assert scores[0, :2].tolist() == [3, -1]
    assert (scores[0, 2:] < -1).all()
    listed = QueryBatch(
        Task.SEQUENTIAL, np.array([0], np.int32), History.of([[0]]), candidates=np.array([[3, 1]], np.int32)
    )
    scores = table.put_newcomers_last(np.array([[7, -2]], np.float32), listed)
    assert scores[0, 1] == -2
    assert scores[0, 0] < -2


def test_files_hold_tensors_and_nothing_else(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(3.0), "b": torch.ones(2, 2).T}
    write_tensors(tmp_path / "x.safetensors", tensors)
    assert all(torch.equal(value, tensors[name]) for name, value in read_tensors(tmp_path / "x.safetensors").items())
    assert read_weights(tmp_path / "x.safetensors").keys() == tensors.keys()
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="cannot be read"):
        read_tensors(tmp_path / "x.safetensors")
    torch.save(tensors, tmp_path / "x.pth")
    assert torch.equal(read_weights(tmp_path / "x.pth")["b"], tensors["b"])
    torch.save({"a": 3}, tmp_path / "more.pth")
    with pytest.raises(WeightsError, match="more than named tensors"):
        read_weights(tmp_path / "more.pth")
    torch.save({"a": Path("x")}, tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(tmp_path / "code.pth")


def test_a_module_that_is_filled_leaves_chance_as_it_was() -> None:
    table, path = ItemTable(4, 3), Path("table.safetensors")
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    again = make_filled(lambda: ItemTable(4, 3), table.state_dict(), path)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(again.vectors, table.vectors)
    assert not again.training
    with pytest.raises(DataError, match="belong to another model"):
        make_filled(lambda: ItemTable(4, 2), table.state_dict(), path)
