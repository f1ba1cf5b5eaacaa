"""Money in a run: where a server has prices, what 1,000 requests cost is measured, kept and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_server import LocalServer, serving
from reasonrec_cot.backbone.model import Backbone

from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline.run import run_pipeline
from reasonrec_core.registry import Registry


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log without any rule."""
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))
    generator, lines = np.random.default_rng(1), ["user_id,item_id,timestamp"]
    for user in range(20):
        for place, item in enumerate(generator.permutation(9)[:5].tolist()):
            lines.append(f"u{user},p{item},{place}")
    path = tmp_path / "shop.csv"
    path.write_text("\n".join(lines))
    return path


def run(shop: Path, llama: Path, server: LocalServer, folder: Path, **prices: Any) -> Mapping[str, Any]:
    policy = {
        "name": "cot", "answer": "label", "backbone": {"model": str(llama)}, "shortlist": {"size": 3},
        "server": {"url": server.url, **prices}, "prompt": {"history": 3},
    }  # fmt: skip
    tree = {
        "name": "paying", "data": {"path": str(shop)}, "policy": policy,
        "delegates": [{"name": "transitions", "search": False}], "router": {"share": 0.5},
        "evaluate": {"tasks": ["sequential"], "k": [3], "resamples": 200, "latency_sample": 12, "faithfulness": 0},
    }  # fmt: skip
    run_pipeline(check_config(tree, "paying.toml"), folder, Registry.discover(), lambda *_: None)
    found: Mapping[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def test_a_run_tells_what_1000_requests_cost(shop: Path, llama: Path, backbone: Backbone, tmp_path: Path) -> None:
    with serving(backbone) as server:
        found = run(shop, llama, server, tmp_path / "run", price_read=2.0, price_written=30.0, currency="EUR")
        lengths = {len(body["prompt"]) for body in server.asked}
    assert found["costs"]["currency"] == "EUR"
    rows = {row["who"]: row for row in found["costs"]["rows"]}
    # A token read is 2 per million, the one that is written 30: per 1,000 requests .002 and .030.
    low, high = (0.002 * length + 0.030 for length in (min(lengths), max(lengths)))
    assert low - 1e-9 <= rows["cot"]["money"] <= high + 1e-9
    assert rows["cot"]["money"] == pytest.approx(0.002 * (rows["cot"]["tokens"] - 1) + 0.030, rel=0.1)
    assert rows["transitions"]["money"] == 0.0
    parts = [(row["money"], row["who"]) for row in rows.values() if row["kind"] == "route"]
    assert len(parts) == 2
    assert all(money == pytest.approx(rows["cot"]["money"], rel=0.2) for money, who in parts if who == "self")
    assert 0 < rows["routed"]["money"] <= high + 1e-9
    page = (tmp_path / "run" / "report.html").read_text()
    assert "1,000 requests cost (EUR)" in page
    assert f"{rows['cot']['money']:.4f}" in page or f"{rows['cot']['money']:,.2f}" in page


def test_a_run_without_prices_says_nothing_of_money(
    shop: Path, llama: Path, backbone: Backbone, tmp_path: Path
) -> None:
    with serving(backbone) as server:
        found = run(shop, llama, server, tmp_path / "run")
    assert "currency" not in found["costs"] or found["costs"]["currency"] is None
    assert all(row.get("money") is None for row in found["costs"]["rows"])
    assert "requests cost" not in (tmp_path / "run" / "report.html").read_text()


def test_two_currencies_have_no_sum() -> None:
    from types import SimpleNamespace

    from reasonrec_report.measure.spending import Spending

    parts = [("policy", SimpleNamespace(part=SimpleNamespace(spent=1.0, currency=name))) for name in ("EUR", "USD")]
    agent: Any = SimpleNamespace(parts=parts)
    with pytest.raises(ConfigError, match="paid for in EUR and USD"):
        Spending(agent)
