"""The pipeline file: what is read, what is refused, and how that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonrec_core.config import check_config, load_config
from reasonrec_core.errors import ConfigError

BASE = 'delegates = ["popularity"]\n[data]\npath = "log"\n'


def write(folder: Path, text: str, name: str = "p.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("delegates = [", r"p\.toml: not valid TOML"),
        ("", "the key is missing"),
        ('[data]\npath = "x"', "a policy or at least one delegate"),
        (f"{BASE}format = 3\n", r"p\.toml:4: data\.format"),
        (f"{BASE}[evaluate]\nk = [0]\n", r"p\.toml:5: evaluate\.k.*positive"),
        (f'{BASE}[evaluate]\ntasks = ["ranking"]\n', r"evaluate\.tasks"),
        (f'{BASE}[evaluate]\ntasks = ["ctr", "explain"]\n', "ctr stands alone"),
        (f"{BASE}[evalute]\n", "Did you mean 'evaluate'"),
        (f"{BASE}[split]\nknd = 1\n", "Did you mean 'kind'"),
        (f"{BASE}[router]\nshare = 0.3\n", "a router needs a policy"),
        (f'{BASE}[policy]\nname = "profile"\n[router]\nshare = 1.5\n', r"router\.share"),
        (
            f'{BASE}[policy]\nname = "profile"\n[router]\nshare = 0.5\nrisk = 0.1\n',
            "only one of share, risk",
        ),
        (f'{BASE}[policy]\nname = "profile"\n[router]\nshare = 0.5\ndelegate = "als"\n', "not among the delegates"),
        (f'{BASE}[policy]\nname = "profile"\nlabel = "popularity"\n', "two components are called 'popularity'"),
        (f'{BASE}[policy]\nname = "profile"\nlabel = "a/b"\n', "use letters, digits"),
        (f'name = "../up"\n{BASE}', "name"),
    ],
)
def test_a_wrong_file_gets_one_clear_message(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        load_config(write(tmp_path, text))
    assert "\n" not in error.value.message
    assert "pydantic" not in error.value.message


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("router", "Write --set a.b=value"),
        ("=3", "Write --set a.b=value"),
        ("delegates.als.window=3", "there is no 'als'"),
        ("delegates.7=x", "is not an entry"),
        ("data.path.x=1", "is a value"),
        ("evaluate.k=many", r"evaluate\.k"),
        ("evaluate.kk=3", "Did you mean 'k'"),
    ],
)
def test_a_wrong_override_gets_one_clear_message(tmp_path: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(write(tmp_path, BASE), [override])


def test_a_missing_and_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such pipeline file"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "latin.toml")
    with pytest.raises(ConfigError, match=r"b\.yaml:1:\d+: not valid YAML"):
        load_config(write(tmp_path, "a: [", "b.yaml"))
    with pytest.raises(ConfigError, match="a table of settings"):
        load_config(write(tmp_path, "- a", "c.yaml"))


DEEP = "[" * 5000 + "]" * 5000
LONG = "9" * 5000
UNREADABLE = {
    "deep.toml": (f"{BASE}x = {DEEP}", r"deep\.toml: tables or lists are nested too deeply\. Nest at most 32 deep"),
    "deep.yaml": (f"x: {DEEP}", r"deep\.yaml: tables or lists are nested too deeply"),
    "deep.json": (f'{{"x": {DEEP}}}', r"deep\.json: tables or lists are nested too deeply"),
    "nested.toml": (f"{BASE}x.y = {'[' * 40}{']' * 40}", r"nested\.toml: data\.x\.y: tables or lists are nested too"),
    "endless.yaml": ("x: &a [*a]", r"endless\.yaml: x\.0\.0: tables or lists are nested too deeply"),
    "long.toml": (f"seed = {LONG}\n{BASE}", r"long\.toml: a value cannot be read .*4300 digits.*at most 64 bits"),
    "long.yaml": (f"seed: {LONG}", r"long\.yaml: a value cannot be read .*4300 digits"),
    "long.json": (f'{{"seed": {LONG}}}', r"long\.json: a value cannot be read .*4300 digits"),
    "large.toml": (f"name = 'a'\nseed = {2**63}\n{BASE}", r"large\.toml:2: seed: the number is too large"),
    "large.yaml": (f"evaluate:\n  k: [1, {-(2**63) - 1}]", r"large\.yaml:2: evaluate\.k\.1: the number is too large"),
    "date.toml": (f"{BASE}x = 2024-02-30", r"date\.toml: not valid TOML"),
    "date.yaml": ("x: 2024-02-30", r"date\.yaml: a value cannot be read \(day is out of range.*Use dates that exist"),
    "lone.yaml": ('name: "\\ud800"', r"lone\.yaml:1: name: the text is not valid Unicode\. Write it in UTF-8"),
    "lone.json": ('{"data": {"\\udfff": 1}}', r"lone\.json: data: the text is not valid Unicode"),
    "lone.toml": ('name = "\\ud800"', r"lone\.toml: not valid TOML"),
    "bomb.yaml": (
        "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
        r"bomb\.yaml: there are too many values",
    ),
    "mark.toml": ("\ufeff", r"mark\.toml: data: the key is missing"),
    "mark.yaml": ("\ufeff", r"mark\.yaml: a pipeline file must be a table of settings"),
    "mark.json": ("\ufeff", r"mark\.json:1:1: not valid JSON"),
    "negative.toml": (f"seed = -1\n{BASE}", r"negative\.toml:1: seed: .*greater than or equal to 0, not -1"),
    "shuffle.toml": (f"{BASE}seed = -1\n", r"shuffle\.toml:4: data\.seed: .*greater than or equal to 0, not -1"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_no_parser_or_run_can_take_gets_one_clear_message(tmp_path: Path, name: str) -> None:
    text, said = UNREADABLE[name]
    with pytest.raises(ConfigError, match=said) as error:
        load_config(write(tmp_path, text, name))
    assert "\n" not in error.value.message
    assert len(error.value.message) < 400


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (f"x={DEEP}", "--set: tables or lists are nested too deeply"),
        ("a" + ".a" * 5000 + "=1", r"--set: a\.a\.a: tables or lists are nested too deeply"),
        (f"seed={LONG}", "--set: a value cannot be read .*4300 digits"),
        (f"seed={2**63}", "--set: seed: the number is too large"),
        ("name=\udcff", "--set: name: the text is not valid Unicode"),
        ("seed=-1", "seed: .*greater than or equal to 0, not -1"),
    ],
)
def test_an_override_that_no_parser_or_run_can_take(tmp_path: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(write(tmp_path, BASE), [override])


def test_a_byte_order_mark_and_escapes_of_json_are_read(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, f"\ufeff{BASE}")).delegates[0].name == "popularity"
    text = '{"delegates": [{"name": "popularity", "x": "\\ud83d\\ude00"}], "data": {"path": "log"}}'
    assert load_config(write(tmp_path, text, "p.json")).delegates[0].settings == {"x": "\N{GRINNING FACE}"}


def test_paths_are_relative_to_the_file_or_to_the_user(tmp_path: Path) -> None:
    path = write(tmp_path, BASE)
    assert load_config(path).data.path == str(tmp_path / "log")
    assert load_config(path, ["data.path=elsewhere"]).data.path == "elsewhere"


def test_overrides_reach_tables_and_named_entries(tmp_path: Path) -> None:
    path = write(tmp_path, BASE)
    config = load_config(path, ["delegates.popularity.half_life=3", "evaluate.k=[1,2]", "name=other", "seed=7"])
    assert config.delegates[0].settings == {"half_life": 3}
    assert config.evaluate.k == (1, 2)
    assert (config.name, config.seed) == ("other", 7)


def test_yaml_says_the_same_as_toml(tmp_path: Path) -> None:
    yaml = write(tmp_path, "delegates: [popularity]\ndata: {path: log}\n", "p.yaml")
    assert load_config(yaml) == load_config(write(tmp_path, BASE))


def test_the_resolved_settings_can_be_read_again(tmp_path: Path) -> None:
    import tomli_w

    text = f'{BASE}[policy]\nname = "profile"\n[router]\nshare = 0.2\n'
    config = load_config(write(tmp_path, text))
    again = write(tmp_path, tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)), "resolved.toml")
    assert load_config(again) == config


def test_a_goal_given_on_the_command_line_takes_the_place_of_the_file_s(tmp_path: Path) -> None:
    text = BASE + '[policy]\nname = "profile"\n[router]\nstage = "before"\nmax_loss = 0.01\n'
    router = load_config(write(tmp_path, text), ["router.share=0.5"]).router
    assert router is not None
    assert (router.given_goal, router.share, router.max_loss, router.stage) == ("share", 0.5, None, "before")
    kept = load_config(write(tmp_path, text), ["router.stage=after"]).router
    assert kept is not None
    assert (kept.given_goal, kept.max_loss) == ("max_loss", 0.01)
    with pytest.raises(ConfigError, match="give only one of"):
        load_config(write(tmp_path, text), ["router.share=0.5", "router.risk=0.1"])


@pytest.mark.parametrize("name", ["1.299,00", "\u200b", "a/b", ""])
def test_an_estimator_is_called_what_a_file_may_be_called(name: str) -> None:
    tree = {
        "data": {"path": "x"},
        "policy": "toy",
        "delegates": ["popularity"],
        "router": {"share": 0.5, "estimators": [name]},
    }
    with pytest.raises(ConfigError, match="an estimator cannot be called"):
        check_config(tree, "p.toml")
