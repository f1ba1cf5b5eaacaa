"""What servers reply, in the forms in which they do: likelihoods of next tokens and of a prompt's tokens, and text.

Two forms are spoken: the completions API of old (vLLM, SGLang, llama-cpp-python: ``tokens``, ``token_logprobs``,
``top_logprobs`` of texts), and the chat API's within completions (llama.cpp's server: ``content`` with numbers of
tokens, and probabilities instead of their logarithms where those after biases are asked for).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reasonrec_cot.backbone.server_client import ServerFault

NUMBERED = "token_id:"
"""Before a token's number, where vLLM gives numbers for texts."""
BLANKS = " \t\r\n▁Ġ"
"""Before a word, as text or as tokenizers write them."""
ROUNDING = 1e-3
"""By which a logarithm of a probability may be above 0."""


def read_choice(reply: Any) -> dict[str, Any]:
    """The one completion of a reply.

    Raises:
        ServerFault: there is none.
    """
    try:
        (choice,) = reply["choices"]
    except (KeyError, TypeError, ValueError) as error:
        raise ServerFault("its reply holds no completion") from error
    if not isinstance(choice, dict):
        raise ServerFault("its completion is not an object")
    return choice


def read_next_tokens(reply: Any, names: Mapping[str, int], wanted: Sequence[int]) -> dict[int, float]:
    """Log P of those of ``wanted`` that are among the next tokens that a reply lists.

    Args:
        reply: to a request for one token and its alternatives.
        names: what ``wanted`` tokens are called in texts.
        wanted: numbers of tokens.

    Raises:
        ServerFault: likelihoods are missing, or are none.
    """
    logprobs = read_choice(reply).get("logprobs")
    if not isinstance(logprobs, dict):
        raise ServerFault("its reply has no likelihoods: does it support logprobs?")
    found: dict[int, float] = {}
    for name, number, logprob in _list_alternatives(logprobs):
        token = number if number is not None else names.get(name, -1)
        if name.startswith(NUMBERED) and name[len(NUMBERED) :].isdecimal():
            token = int(name[len(NUMBERED) :])
        if token in wanted:
            found[token] = max(logprob, found.get(token, -math.inf))
    return found


def read_next_words(reply: Any, names: Sequence[str]) -> list[float]:
    """Log P of each name as the first word that a chat's answer may begin with; NaN where it is not listed.

    A word with a blank before it is the same, and yes and no (not single letters) are so in any case: their
    probabilities are added up.

    Raises:
        ServerFault: likelihoods are missing, or are none.
    """
    logprobs = read_choice(reply).get("logprobs")
    if not isinstance(logprobs, dict):
        raise ServerFault("its reply has no likelihoods: does it support logprobs in chats?")
    found: dict[str, float] = {}
    for word, _, logprob in _list_alternatives(logprobs):
        name = word.strip(BLANKS)
        name = name.lower() if len(name) > 1 else name
        found[name] = float(np.logaddexp(logprob, found.get(name, -math.inf)))
    return [found.get(name, math.nan) for name in names]


def _list_alternatives(logprobs: Mapping[str, Any]) -> list[tuple[str, int | None, float]]:
    """Name, number (None where it is not told) and log P of each alternative for the first new token."""
    try:
        if isinstance(logprobs.get("content"), list):
            first = logprobs["content"][0]
            listed = first["top_probs"] if "top_probs" in first else first["top_logprobs"]
            return [(str(each["token"]), each.get("id"), _logarithm(each)) for each in listed]
        texts = logprobs["top_logprobs"][0]
        return [(str(name), None, _finite(logprob)) for name, logprob in texts.items()]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ServerFault("its reply lists no next tokens with likelihoods") from error


def _logarithm(each: Mapping[str, Any]) -> float:
    if "prob" not in each:
        return _finite(each["logprob"])
    share = each["prob"]
    if not isinstance(share, int | float) or not 0.0 <= share <= 1.0 + ROUNDING:
        raise ServerFault("its reply has a likelihood that is none")
    return math.log(share) if share > 0 else -math.inf


def _finite(value: Any) -> float:
    if not isinstance(value, int | float) or math.isnan(value) or value > ROUNDING:
        raise ServerFault("its reply has a likelihood that is none")
    return float(value)


def read_prompt_tokens(reply: Any, prompt: int, last: int) -> list[float]:
    """Log P of the last tokens of a prompt that the server repeated with likelihoods.

    Args:
        reply: to a request that asked for the prompt (``echo``) and at most one new token.
        prompt: tokens that were sent.
        last: how many of its last are wanted, fewer than ``prompt``.

    Raises:
        ServerFault: the number of likelihoods is not that of the tokens.
    """
    logprobs = read_choice(reply).get("logprobs")
    values = logprobs.get("token_logprobs") if isinstance(logprobs, dict) else None
    if not isinstance(values, list) or not prompt <= len(values) <= prompt + 1:
        count = len(values) if isinstance(values, list) else 0
        raise ServerFault(f"its reply has {count} likelihoods for {prompt} tokens")
    return [_finite(value) for value in values[prompt - last : prompt]]


def read_text(reply: Any, stops: Sequence[str]) -> tuple[str, bool]:
    """What was written, up to the first stop and with it; and whether it ended there or by itself.

    A server leaves the stop out that it was told of; it stands here as if the model had been read word by word.
    """
    choice = read_choice(reply)
    text, reason = choice.get("text"), choice.get("finish_reason")
    if not isinstance(text, str):
        raise ServerFault("its reply holds no text")
    ends = [text.index(stop) + len(stop) for stop in stops if stop in text]
    if ends:
        return text[: min(ends)], True
    if reason == "stop":
        return text + (stops[0] if stops else ""), True
    return text, False
