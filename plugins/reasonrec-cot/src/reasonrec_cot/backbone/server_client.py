"""Requests to a server that speaks the OpenAI HTTP API: time-outs, repeats, several at once, what they cost.

HTTP itself is httpx2's, waiting between attempts stamina's. What is added here is what neither knows: a reply that came
back whole may still be damaged (cut off, too few likelihoods), and is then asked for again like one that never came.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
import stamina

from reasonrec_core.errors import ConfigError, PluginError, did_you_mean
from reasonrec_cot.backbone.kv_cache import Usage
from reasonrec_cot.server_config import ServerConfig

T = TypeVar("T")
Body = Mapping[str, Any]
MOST_BYTES = 32 << 20
"""Of a reply: more is no answer to what is asked here."""
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Answers that may be others a moment later."""
LONGEST_WAIT = 60.0
"""Seconds that a server may ask us to wait (``Retry-After``)."""


class ServerFault(Exception):
    """A request failed, and may succeed if it is repeated.

    Attributes:
        wait: seconds that the server asks for, None where it says nothing.
    """

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class RefusedRequest(Exception):
    """The server will not answer this request, however often it is asked.

    Attributes:
        status: its HTTP status.
    """

    def __init__(self, what: str, status: int) -> None:
        super().__init__(what)
        self.status = status


@dataclass
class Bill:
    """What a server was asked, in all.

    Attributes:
        requests: that were answered.
        repeats: attempts that failed and were made again.
        usage: tokens; those whose states the server kept are counted apart.
        seconds: until the answers came, summed over requests.
    """

    requests: int
    repeats: int
    usage: Usage
    seconds: float


class ServerClient:
    """Asks one model of one server.

    Args:
        config: where, and how patiently.
        transport: instead of the network; for tests.

    Raises:
        ConfigError: a key would cross a network unencrypted.
    """

    def __init__(self, config: ServerConfig, transport: httpx2.BaseTransport | None = None) -> None:
        self.config = config
        self.bill = Bill(0, 0, Usage(), 0.0)
        key = os.environ.get(config.key, "")
        if key and not config.is_private:
            raise ConfigError(
                f"the key in {config.key} would be sent unencrypted to another machine",
                where="policy.server.url",
                fix=f"Use https, or unset {config.key} if the server needs no key.",
            )
        self._http = httpx2.Client(
            base_url=config.url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(config.timeout, connect=min(config.timeout, 10.0)),
            limits=httpx2.Limits(max_connections=config.concurrency),
            transport=transport,
        )
        self._lock = threading.Lock()

    def find_model(self) -> str:
        """The name to ask for: as it is set, or the only one that the server lists.

        Raises:
            ConfigError: the server has another or several.
        """
        try:
            names = self._request("GET", "models", None, _read_models)
        except RefusedRequest as error:
            if self.config.model is None:
                fix = "Set policy.server.model."
                raise ConfigError(f"the server lists no models ({error})", where=self.config.url, fix=fix) from error
            return self.config.model
        if self.config.model is None and len(names) == 1:
            return names[0]
        if self.config.model is None:
            fix = f"Set policy.server.model to one of: {', '.join(names[:10]) or 'none listed'}."
            raise ConfigError(f"the server has {len(names)} models", where=self.config.url, fix=fix)
        if names and self.config.model not in names:
            what = f"the server has no model {self.config.model!r}"
            raise ConfigError(what, where=self.config.url, fix=did_you_mean(self.config.model, names))
        return self.config.model

    def complete(self, bodies: Sequence[Body], read: Callable[[Any, int], T], path: str) -> list[T]:
        """Ask for a completion of each of ``bodies``, as many at once as is set.

        Args:
            bodies: JSON.
            read: makes an answer of a reply and the place of its body; raises `ServerFault` for a damaged one.
            path: below the API's address: ``completions`` or ``chat/completions``.

        Raises:
            PluginError: the server failed to the end.
            RefusedRequest: the server will not answer such a request.
        """
        if not bodies:
            return []
        pool = ThreadPoolExecutor(min(self.config.concurrency, len(bodies)), "language-model-server")
        try:
            asked = [
                pool.submit(self._request, "POST", path, body, lambda reply, at=at: read(reply, at))
                for at, body in enumerate(bodies)
            ]
            return [each.result() for each in asked]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _request(self, method: str, path: str, body: Body | None, read: Callable[[Any], T]) -> T:
        attempts = 0
        try:
            for attempt in stamina.retry_context(
                on=_wait_before_repeat,
                attempts=self.config.retries + 1,
                timeout=None,
                wait_initial=0.5,
                wait_max=20.0,
                wait_jitter=0.5,
            ):
                with attempt:
                    attempts = attempt.num
                    started = time.monotonic()
                    reply = self._send(method, path, body)
                    answer = read(reply)
                    self._note(reply, attempts - 1, time.monotonic() - started)
                    return answer
        except ServerFault as error:
            times = "once" if attempts == 1 else f"{attempts} times"
            raise PluginError(
                f"the language model's server was asked {times} and failed: {error}",
                where=self.config.url,
                fix="See whether it runs and is not overloaded; policy.server has timeout, retries and concurrency.",
            ) from error
        raise AssertionError("there is at least one attempt")

    def _send(self, method: str, path: str, body: Body | None) -> Any:
        """One attempt; a reply may neither grow nor last beyond bounds."""
        until = time.monotonic() + self.config.timeout
        try:
            with self._http.stream(method, path, json=body) as response:
                received = bytearray()
                for piece in response.iter_bytes():
                    received += piece
                    if len(received) > MOST_BYTES:
                        raise ServerFault(f"its reply is larger than {MOST_BYTES >> 20} MB")
                    if time.monotonic() > until:
                        raise ServerFault(f"no whole reply within {self.config.timeout:g} seconds")
        except httpx2.TimeoutException as error:
            raise ServerFault(f"no reply within {self.config.timeout:g} seconds") from error
        except httpx2.TransportError as error:
            raise ServerFault(_one_line(str(error)) or type(error).__name__) from error
        if response.status_code in AGAIN:
            raise ServerFault(f"status {response.status_code}{_explain(received)}", _wait_asked_for(response))
        if response.status_code != 200:
            raise RefusedRequest(f"status {response.status_code}{_explain(received)}", response.status_code)
        try:
            return json.loads(received)
        except ValueError as error:  # cut off, not text, not JSON
            raise ServerFault(f"its reply is not JSON ({_one_line(str(error))})") from error

    def _note(self, reply: Any, repeats: int, seconds: float) -> None:
        with self._lock:
            self.bill.requests += 1
            self.bill.repeats += repeats
            self.bill.seconds += seconds
            self.bill.usage.add(read_usage(reply))


def read_usage(reply: Any) -> Usage:
    """Tokens that a reply was counted as; nothing where the server does not count."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    kept = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    read = _count(usage.get("prompt_tokens"))
    return Usage(max(0, read - kept), _count(usage.get("completion_tokens")), min(kept, read))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _read_models(reply: Any) -> list[str]:
    try:
        return [str(each["id"]) for each in reply["data"]]
    except (KeyError, TypeError) as error:
        raise ServerFault("its list of models is not one") from error


def _wait_before_repeat(error: Exception) -> bool | float:
    """What stamina asks: whether to repeat, or after how many seconds."""
    if not isinstance(error, ServerFault):
        return False
    return True if error.wait is None else error.wait


def _wait_asked_for(response: httpx2.Response) -> float | None:
    """Seconds of ``Retry-After``, where it gives them; a date is left to our own waits."""
    try:
        asked = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(asked, LONGEST_WAIT) if asked >= 0 else None


def _explain(received: bytes | bytearray) -> str:
    """What a server says of an error, in a line: untrusted text."""
    try:
        body = json.loads(received)
        said = body["error"]["message"] if isinstance(body["error"], dict) else body["error"]
    except (ValueError, KeyError, TypeError):
        said = received[:300].decode("utf-8", "replace")
    return f" ({line})" if (line := _one_line(str(said))) else ""


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:200]).strip()
