"""Learned deferral on queries whose best delegate is known, and the features that it learns from."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from reasonrec_routers.cross_fitting import area
from reasonrec_routers.features import LearnedFeatures, feature_names
from reasonrec_routers.gain_model import FORMS, GainModel
from reasonrec_routers.risk_control import threshold_for_loss

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing import CalibrationData, Router, read_router
from reasonrec_core.testing.router import fit_router
from reasonrec_core.types import History, Ranking, Uncertainty

SIZE = 3000
LABELS = ("fashion", "memory")


class World:
    """Three sorts of queries: `memory` is best where its votes are many, `fashion` where its margin is wide."""

    def __init__(self, size: int = SIZE, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.keys = np.arange(size, dtype=np.int64)
        self.known = {
            name: Uncertainty(rng.random(size).astype(np.float32), "before") for name in feature_names(LABELS)
        }
        self.known["evidence-horizon"] = Uncertainty(rng.random(size).astype(np.float32), "before")
        votes, margin = (self.known[f"feature:{c}"].total for c in ("memory:total", "fashion:margin"))
        self.sort = np.where(votes > 0.7, 2, np.where(margin > 0.7, 1, 0))  # 0: the policy is best
        chance = np.array([[0.5, 0.1, 0.1], [0.3, 0.6, 0.1], [0.3, 0.1, 0.6]])[self.sort]
        self.chance = chance
        hits = rng.random((size, 3)) < chance
        self.policy, fashion, memory = (column.astype(float) for column in hits.T)
        self.delegates = {"fashion": fashion, "memory": memory}

    def calibrated(self, **wanted: object) -> Router:
        base = {"kind": "deferral", "estimators": ("evidence-horizon",), "stage": "before"}
        return fit_router({**base, **wanted}, self.data())

    def data(self, **changes: object) -> CalibrationData:
        quality = {"mind": self.policy, **self.delegates}
        hit = {label: q > 0 for label, q in quality.items()}
        return replace(CalibrationData("mind", self.known, quality, hit, self.keys), **changes)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def fresh() -> World:
    return World(seed=1)


@pytest.fixture(scope="module")
def router(world: World) -> Router:
    return world.calibrated(share=0.5)


def expected(world: World, replaced: np.ndarray, who: np.ndarray) -> float:
    """Mean chance of a hit of whoever answers."""
    column = np.where(replaced, np.where(who == "fashion", 1, 2), 0)
    return float(world.chance[np.arange(len(column)), column].mean())


def test_every_request_goes_to_whoever_is_best_for_it(router: Router, fresh: World) -> None:
    replaced, who = router.assign(fresh.known, fresh.keys).replaced, router.assign(fresh.known).best
    assert (fresh.sort > 0).mean() == pytest.approx(0.51, abs=0.03)
    assert (replaced == (fresh.sort > 0)).mean() > 0.9
    right = np.where(fresh.sort == 1, "fashion", "memory")
    assert (who == right)[fresh.sort > 0].mean() > 0.9
    rng = np.random.default_rng(0)
    learned, oracle = expected(fresh, replaced, who), expected(fresh, fresh.sort > 0, right)
    random = expected(fresh, rng.permuted(replaced), rng.permuted(who))
    assert random + 0.15 < learned <= oracle
    assert oracle - learned < 0.03


def test_the_share_is_met_on_new_queries(router: Router, fresh: World) -> None:
    for share in (0.0, 0.2, 0.5, 1.0):
        moved = router.at_share(share, fresh.known)
        assert moved.assign(fresh.known, fresh.keys).replaced.mean() == pytest.approx(share, abs=0.005)
    assert router.assign(fresh.known, fresh.keys).replaced.mean() == pytest.approx(0.5, abs=0.05)


def test_areas_are_ordered_and_the_report_says_what_was_chosen(router: Router) -> None:
    areas = router.report["areas"]
    assert areas["random"] < areas[router.report["form"]] < areas["oracle"]
    assert router.report["form"] in FORMS
    assert router.asks == LABELS
    assert router.report["delegates"] == list(LABELS)


def test_gain_risk_and_confidence_are_those_of_the_best_delegate(router: Router, fresh: World) -> None:
    gain, risk = router.assign(fresh.known).gain, router.assign(fresh.known).risk
    truth = fresh.chance[:, 1:].max(axis=1) - fresh.chance[:, 0]
    assert np.corrcoef(gain, truth)[0, 1] > 0.8, "a step is approached by lines that bend"
    p_worse = (1 - fresh.chance[:, 0]) * fresh.chance[:, 1:].max(axis=1)
    assert np.abs(risk - p_worse).mean() < 0.06
    assert np.isfinite(router.decide(fresh.known, fresh.keys).confidence).all()


def test_decisions_are_functions_of_the_query_and_survive_json(router: Router, fresh: World) -> None:
    again = read_router(json.loads(json.dumps(router.to_dict(), allow_nan=False)))
    rows = np.random.default_rng(2).permutation(SIZE)[:400]
    part = {name: u.take(rows) for name, u in fresh.known.items()}
    one, other = again.assign(part, fresh.keys[rows]), router.assign(fresh.known, fresh.keys)
    np.testing.assert_array_equal(one.gain, other.gain[rows])
    np.testing.assert_array_equal(one.who, other.who[rows])
    np.testing.assert_array_equal(one.best, other.best[rows])
    for row in rows[:20]:
        one = {name: u.take(np.array([row])) for name, u in fresh.known.items()}
        assert router.assign(one).gain[0] == router.assign(fresh.known).gain[row]
    words = router.decide(part, fresh.keys[rows]).reason
    assert all(w.startswith(("the policy answers: ", "memory answers: ", "fashion answers: ")) for w in words)


def test_no_reason_contradicts_the_decision(world: World, fresh: World) -> None:
    forced = world.calibrated(share=1.0).decide(fresh.known, fresh.keys)
    losing = forced.gain < -5e-5
    assert 0 < losing.sum() < SIZE
    needed = "needed to meet the share of 100\N{NO-BREAK SPACE}%, although "
    for reason, worse in zip(forced.reason, losing, strict=True):
        assert (needed in reason) == ("is expected to lose" in reason) == worse, reason


def test_a_named_delegate_is_the_only_one(world: World, fresh: World) -> None:
    router = world.calibrated(share=0.25, delegate="memory")
    assert set(router.assign(fresh.known).best) == {"memory"}
    assert not any("fashion" in name for name in router.signals)
    replaced = router.assign(fresh.known, fresh.keys).replaced
    assert (fresh.sort[replaced] == 2).mean() > 0.85


def test_a_risk_is_kept(world: World, fresh: World) -> None:
    replaced = world.calibrated(risk=0.15).assign(fresh.known, fresh.keys).replaced
    best = fresh.chance[:, 1:].max(axis=1)
    assert ((1 - fresh.chance[:, 0]) * best)[~replaced].mean() == pytest.approx(0.15, abs=0.05)


def test_what_is_missing_is_said(world: World) -> None:
    wanted = {"kind": "deferral", "share": 0.3, "stage": "before", "estimators": ("evidence-horizon",)}
    bare = {"evidence-horizon": world.known["evidence-horizon"]}
    with pytest.raises(ConfigError, match="needs the delegates' answers"):
        fit_router(wanted, world.data(signals=bare))
    with pytest.raises(ConfigError, match="cannot be fitted to only 5 validation requests"):
        fit_router(wanted, world.data().take(np.arange(5)))


@pytest.mark.parametrize("form", FORMS)
def test_regressions_are_stored_exactly(form: str) -> None:
    rng = np.random.default_rng(0)
    at = rng.random((500, 4))
    wanted = np.stack([at[:, 0] ** 2, -at[:, 1]], axis=1) + 0.01 * rng.normal(size=(500, 2))
    model = GainModel.fit(form, at, wanted)
    again = type(model).model_validate(json.loads(json.dumps(model.model_dump(mode="json"))))
    predicted = model(list(at.T))
    np.testing.assert_array_equal(again(list(at.T)), predicted)
    for row in range(100):  # numbers and arrays round alike
        np.testing.assert_array_equal(again(at[row].tolist()), predicted[row : row + 1])
    assert np.corrcoef(predicted[:, 0], at[:, 0] ** 2)[0, 1] > 0.9
    assert np.corrcoef(predicted[:, 1], at[:, 1])[0, 1] < -0.9
    np.testing.assert_allclose(GainModel.fit(form, at, wanted[:, 1:])(list(at.T))[:, 0], predicted[:, 1])


def test_the_area_is_the_mean_gain_over_all_shares() -> None:
    gains = np.array([[1.0], [0.0], [-1.0]])
    assert area(gains, gains) == pytest.approx((1 + 1 + 0) / 9)
    assert area(-gains, gains) == pytest.approx((-1 - 1 + 0) / 9)


def rankings() -> dict[str, Ranking]:
    items = np.array([[0, 1, 2], [2, 1, -1], [-1, -1, -1]], np.int32)
    scores = np.array([[3.0, 1.0, 0.0], [5.0, 5.0, -np.inf], [-np.inf] * 3], np.float32)
    return {"memory": Ranking(items, scores), "fashion": Ranking(items[::-1].copy(), scores[::-1].copy())}


def test_features_have_known_values() -> None:
    history = History.of([[0, 1], [2], []])
    found = LearnedFeatures().read(history, np.array([1, 3, 0]), rankings())
    assert tuple(found) == feature_names(["memory", "fashion"])
    values = {name.removeprefix("feature:"): u.total for name, u in found.items()}
    assert all(np.isfinite(v).all() and v.min() >= 0 and v.max() <= 1 for v in values.values())
    np.testing.assert_allclose(values["memory:margin"], [0.5, 0.0, 0.0])
    np.testing.assert_allclose(values["memory:total"][2], 0.5)
    assert values["memory:total"][1] > values["memory:total"][0] > 0.5
    assert values["length"][0] > values["length"][1] > values["length"][2] == 0
    np.testing.assert_allclose(values["fashion~memory:overlap"], [0, 2 / 3, 0])
    assert values["memory:entropy"][2] == 1
    mean = (np.log(2) + np.log(4)) / 2
    np.testing.assert_allclose(values["popularity"], [mean / (1 + mean), 0, 0], rtol=1e-6)


def test_features_of_a_request_do_not_depend_on_its_batch() -> None:
    rng = np.random.default_rng(0)
    lengths = (*range(20), *rng.integers(20, 2000, 20))
    history = History.of([rng.integers(0, 60, n).tolist() for n in lengths])  # ten items are newer than the counts
    items = np.argsort(rng.random((40, 50)), axis=1)[:, :21].astype(np.int32)
    answers = {"a": Ranking(items, -np.sort(-rng.random((40, 21)), axis=1).astype(np.float32))}
    features, popularity = LearnedFeatures(), rng.integers(0, 1000, 50)
    whole = features.read(history, popularity, answers)
    for row in range(40):
        alone = {"a": Ranking(items[row : row + 1], answers["a"].scores[row : row + 1])}
        one = features.read(history.slice(row, row + 1), popularity, alone)
        assert {n: u.total[0] for n, u in one.items()} == {n: u.total[row] for n, u in whole.items()}


def test_risk_control_keeps_the_expected_loss_and_delegates_what_it_can(world: World) -> None:
    limit, lost, shares = 0.08, [], []
    router = world.calibrated(kind="risk-control", risk=limit)
    for seed in range(1, 6):
        new = World(seed=seed)
        replaced, who = router.assign(new.known, new.keys).replaced, router.assign(new.known).best
        theirs = np.where(who == "memory", new.delegates["memory"], new.delegates["fashion"])
        lost.append(np.where(replaced, np.clip(new.policy - theirs, 0, 1), 0).mean())
        shares.append(replaced.mean())
    assert 0.5 * limit < np.mean(lost) < limit + 0.01
    assert np.mean(shares) > 0.4
    again = read_router(json.loads(json.dumps(router.to_dict())))
    np.testing.assert_array_equal(again.assign(world.known).replaced, router.assign(world.known).replaced)
    assert router.at_share(0.3, world.known).assign(world.known).replaced.mean() == pytest.approx(0.3, abs=0.01)
    with pytest.raises(ConfigError, match="too few to guarantee a loss of at most 1e-05"):
        world.calibrated(kind="risk-control", risk=1e-5)


def test_the_bound_on_the_loss_holds_on_average_over_calibrations() -> None:
    """The guarantee itself, on an order without ties: the mean over many draws of n queries is at most the limit."""
    rng, limit, found = np.random.default_rng(0), 0.1, []
    for _ in range(300):
        place = rng.random(120)
        lost = (rng.random(120) < 0.4 * place).astype(float)
        level = threshold_for_loss(place[:100], lost[:100], limit)(place[100:])
        found.append(np.where(level, lost[100:], 0).mean())
    assert 0.06 < np.mean(found) <= limit + 2 * np.std(found) / np.sqrt(300)
    everything = threshold_for_loss(place, np.zeros(120), 0.5)
    assert everything(place, np.arange(120)).all()
