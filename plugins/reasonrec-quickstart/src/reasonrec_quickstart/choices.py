"""Which pipeline suits the data: every choice with its reason, by what there is and how large it is.

The limits are for a first answer, in a minute or a few; ``best`` lifts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reasonrec_core.components import Kind
from reasonrec_core.errors import ConfigError
from reasonrec_core.registry import Registry
from reasonrec_core.types.answer import format_percent
from reasonrec_quickstart.encoders import find_encoder
from reasonrec_quickstart.examine import ExaminedData

ENOUGH = 0.2
"""Share of the items that must have a text or a picture, for these to be looked at."""
MOST_TEXTS, MOST_PICTURES = 15_000, 5_000
"""Items that are encoded for a first answer."""
MOST_ITEMS, MOST_INTERACTIONS = 60_000, 3_000_000
"""Above this no policy deliberates in a first answer: delegates alone answer."""
OF_PROMPTS = frozenset({"last-id", "target-in-history"})
"""Checks of what would show a language model the answer; no component that is chosen here reads ids or titles so."""
TABLES = "tables"
"""The data source of files whose columns are people's own: only there may a time have been missed."""
TESTED = 100
"""Queries whose steps are edited, and requests that are timed, for a first answer."""


@dataclass
class Choice:
    """One part of the pipeline file: settings and why they are so.

    Attributes:
        table: TOML keys and values; a value that is a mapping is a table.
        why: sentences that stand above it.
    """

    table: Mapping[str, Any]
    why: list[str] = field(default_factory=list)


@dataclass
class Choices:
    """The pipeline.

    Attributes:
        name: of the run.
        parts: of the file, in order; those without tables of their own come first.
        warnings: what the user must hear.
        hints: what would make more of the data.
        remarks: what matters to other pipelines than this one; the file alone has them.
    """

    name: str
    parts: list[Choice] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def choose_pipeline(
    examined: ExaminedData, name: str, data: Mapping[str, Any], registry: Registry, *, best: bool = False
) -> Choices:
    """The pipeline for data that was looked at.

    Args:
        examined: the data.
        name: of the run.
        data: the table ``[data]``.
        registry: what is installed.
        best: take the time that the best ranking takes.

    Raises:
        ConfigError: what it takes is not installed; says what to install.
    """
    choices = Choices(name)
    _warn(examined, choices)
    if examined.labels:
        _choose_clicks(examined, choices, registry)
    else:
        _choose_ranking(examined, choices, registry, best=best)
    choices.parts.append(Choice({"data": data}))
    choices.parts.append(_choose_split(examined))
    _choose_features(examined, choices, registry, best=best)
    if not examined.labels:
        _choose_rest(choices, registry, best=best)
    return choices


def _warn(examined: ExaminedData, choices: Choices) -> None:
    time = examined.facts["time"]
    if not time["clock"] and examined.split["kind"] != "predefined":
        if examined.facts["format"] == TABLES:
            choices.warnings.append(
                "NO TIMES WERE FOUND. The rows are assumed to be in order of time, oldest first. If they "
                "are not, the results mean nothing. If there is a column with times, name it: --column "
                "timestamp=NAME."
            )
        else:
            choices.hints.append("This layout tells in which order things happened, but not when.")
    if time.get("implausible"):
        choices.warnings.append(f"{time['implausible']:,} times are before 1990 or after next year.")
    for each in examined.findings:
        if each.severity != "info":
            said = f"{each.check}: {each.message} ({each.count:,} of {each.total:,}). {each.remedy}"
            (choices.remarks if each.check in OF_PROMPTS else choices.warnings).append(said)


def _choose_clicks(examined: ExaminedData, choices: Choices, registry: Registry) -> None:
    """Rows with labels: the probability of a click."""
    if "lightgbm-ctr" not in registry.names(Kind.DELEGATE):
        raise ConfigError(
            "validation and test are rows with labels 0 and 1, but nothing that predicts clicks is installed",
            where="quickstart",
            fix="pip install 'reasonrec[lightgbm]'.",
        )
    labelled = (
        "Validation and test are rows with labels 0 and 1: the task is to predict the probability of a click for each."
    )
    choices.parts.append(Choice({"delegates": ["lightgbm-ctr"]}, [labelled, "Boosted trees predict it."]))
    choices.parts.append(Choice({"evaluate": {"tasks": ["ctr"]}}, ["Measured by AUC and log loss."]))


def _choose_ranking(examined: ExaminedData, choices: Choices, registry: Registry, *, best: bool) -> None:
    """Who answers: a policy, or for very large data delegates alone; and cheap delegates beside it."""
    facts, installed = examined.facts, set(registry.names(Kind.POLICY))
    large = facts["items"] > MOST_ITEMS or facts["interactions"] > MOST_INTERACTIONS
    if best:
        if "chain" not in installed:
            fix = "pip install 'reasonrec[chain]', or leave out --best."
            raise ConfigError("the policy chain is not installed", where="--best", fix=fix)
        said = "The best ranking: a policy whose steps are trained. It takes minutes, or hours for large data."
        choices.parts.append(Choice({"policy": "chain"}, [said]))
    elif large:
        choices.hints.append("With this much data only delegates answer, without reasons. --best trains a policy.")
    elif "profile" in installed:
        said = "A first answer quickly: explicit steps over co-occurrence and content, without training."
        choices.parts.append(Choice({"policy": "profile"}, [said, 'The best ranking takes longer: policy = "chain".']))
    why = ["Cheap models beside it: what sells best, and what follows what."]
    delegates = ["popularity", "transitions"]
    if "implicit-als" in registry.names(Kind.DELEGATE):
        delegates.append("implicit-als")
        why.append("implicit-als: a matrix factorisation of who chose what.")
    else:
        choices.hints.append("Matrix factorisation as another baseline: pip install 'reasonrec[implicit]'.")
    choices.parts.append(Choice({"delegates": delegates}, why))


def _choose_split(examined: ExaminedData) -> Choice:
    settings = examined.split
    if settings["kind"] == "predefined":
        return Choice({"split": settings}, ["The data comes with its own parts (train, validation, test)."])
    why = [
        "Each user's last item is the test, the one before it is for validation: the past predicts the "
        "future, never the reverse."
    ]
    if "min_value" in settings:
        why.append("Values are labels 0 and 1: what users chose are the rows with 1.")
        why.append("Predicting clicks row by row needs train, valid and test files, or a column `part`.")
    return Choice({"split": settings}, why)


def _describe_share(share: float) -> str:
    return "All items" if share == 1 else f"{format_percent(share)} of the items"


def _choose_features(examined: ExaminedData, choices: Choices, registry: Registry, *, best: bool) -> None:
    """Texts and pictures, where there are any and something is installed that looks at them."""
    facts, observe, why = examined.facts, dict[str, Any](), list[str]()
    pictures = facts["image"] if facts["images_folder_exists"] else 0.0
    for modality, share, most, words in (
        ("text", facts["text"], MOST_TEXTS, "texts"),
        ("image", pictures, MOST_PICTURES, "pictures"),
    ):
        if share < ENOUGH:
            continue
        if facts["items"] * share > most and not best:
            choices.hints.append(
                f"{_describe_share(share)} have {words}; encoding them takes too long for a first answer: use --best."
            )
            continue
        state = find_encoder(modality, registry)
        if state.missing:
            choices.hints.append(f"{_describe_share(share)} have {words}, but {state.missing}: {state.install}.")
            continue
        observe[modality] = {"encoder": state.name}
        why.append(f"{_describe_share(share)} have {words}; the encoder {state.name} reads them ({state.weights}).")
    if facts["image"] and not facts["images_folder_exists"]:
        choices.warnings.append("Items name pictures, but the folder of pictures is missing, so pictures are not used.")
    if observe:
        choices.parts.append(Choice({"observe": observe}, why))


def _choose_rest(choices: Choices, registry: Registry, *, best: bool) -> None:
    """The router, and how much is measured."""
    reasons = any("policy" in each.table for each in choices.parts)
    if reasons and "threshold" in registry.names(Kind.ROUTER):
        why = [
            "A delegate answers only where validation shows that this costs nothing and saves time.",
            "The router also tells how sure each answer is. Other goals: share = 0.35, max_loss = 0.01.",
        ]
        choices.parts.append(Choice({"router": {"goal": "free"}}, why))
    measured: dict[str, Any] = {} if best else {"faithfulness": TESTED, "latency_sample": TESTED}
    why = [] if best else ["For a first look, fewer requests are edited and timed than by default (500 and 200)."]
    if reasons and "faithfulness" not in registry.names(Kind.REPORTER):
        measured["faithfulness"] = 0
        why.append("Whether the steps cause the answers is not measured: reasonrec-explain is not installed.")
        choices.hints.append("Whether the policy's reasons are true can be measured: pip install 'reasonrec[explain]'.")
    if measured:
        choices.parts.append(Choice({"evaluate": measured}, why))
