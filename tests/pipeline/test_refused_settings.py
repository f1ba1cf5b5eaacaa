"""What cannot work is refused before any data is read, in one message that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonrec_core.config import check_config
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline.run import fit_pipeline
from reasonrec_core.registry import Registry
from reasonrec_core.testing.toy_policy import ConsultingToyPolicy

from .conftest import pipeline, silent

REFUSED = {
    "kind": ({"kind": "treshold", "share": 0.3}, {}, r"no router is called 'treshold'\. Did you mean 'threshold'"),
    "setting": ({"share": 0.3, "overhead": 0.1}, {}, r"router\.overhead: unknown key"),
    "setting of a kind": ({"kind": "deferral", "share": 0.3, "overhead": 2.0}, {}, r"router\.overhead: .*less than"),
    "stage": ({"kind": "cascade", "share": 0.3, "stage": "after"}, {}, r"a cascade asks delegates before the policy"),
    "policy": (
        {"share": 0.3, "consult": 0.5},
        {},
        r"router\.consult: the policy 'toy' cannot decide again with delegates' answers in view\. Take router\.consult",
    ),
    "estimators": (
        {"share": 0.3, "consult": 0.5, "estimators": ["entropy"]},
        {"policy": "toy-consulting"},
        r"router\.consult: 'evidence-horizon' decides where .* not estimated\. Add \"evidence-horizon\"",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_router_that_cannot_work_is_refused_before_data_is_read(case: str, tmp_path: Path) -> None:
    router, more, said = REFUSED[case]
    config = check_config(pipeline(tmp_path / "nowhere", router=router, **more), "tiny.toml")
    with pytest.raises(ConfigError, match=said):
        fit_pipeline(config, tmp_path / "run", Registry.discover(), silent)
    assert not (tmp_path / "run").exists()


def test_a_policy_that_cannot_consult_as_it_is_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConsultingToyPolicy, "consults", False)
    tree = pipeline(tmp_path / "nowhere", router={"share": 0.3, "consult": 0.5}, policy="toy-consulting")
    with pytest.raises(ConfigError, match=r"in view, as it is set\. Take router\.consult out"):
        fit_pipeline(check_config(tree, "tiny.toml"), tmp_path / "run", Registry.discover(), silent)
