"""What stands before every request: who may ask, how much, how often; and headers that a page is safe with."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reasonrec_serve.http.metrics import Metrics
from reasonrec_serve.http.problems import Refused, respond
from reasonrec_serve.http.settings import ServeSettings

CLIENTS = 10_000
"""Clients whose rate is remembered; who has not asked for longest is forgotten first."""
OPEN = ("/health/", "/page/")
"""Paths below which nothing of the data is told: no token is needed."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every response. Pictures may be blobs: a page that sends a token fetches them."""


class RateLimit:
    """A bucket of tokens for each client, filled at ``rate`` a second, that holds a second's worth."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def takes(self, client: str, now: float) -> bool:
        """Whether one more request of this client is taken."""
        if not self.rate:
            return True
        most = max(self.rate, 1.0)
        left, before = self._known.pop(client, (most, now))
        left = min(most, left + (now - before) * self.rate)
        self._known[client] = (left - 1 if left >= 1 else left, now)
        if len(self._known) > CLIENTS:
            self._known.popitem(last=False)
        return left >= 1


class Guard:
    """ASGI middleware. A refused request reaches no route.

    Args:
        app: what it stands before.
        settings: the limits.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self._token = settings.read_token()
        self._limit = RateLimit(settings.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then hand on; count how it ended and how long it took."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, status = time.perf_counter(), HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def secured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(SECURITY)
            await send(message)

        try:
            self._check(scope)
            body = await _read_body(scope, receive, self.settings.max_body)
            await self.app(scope, _replay(body, receive), secured)
        except Refused as refused:
            await respond(refused)(scope, receive, secured)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.count_request(route, status, time.perf_counter() - begin)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._token is None and _host_name(headers.get("host", "")) not in LOCAL_NAMES:
            # A page of somebody else's may have its name point here (DNS rebinding); it cannot choose this header.
            fix = "Use http://127.0.0.1, or start the server with --token-file."
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "this is not the name of the server", where="Host", fix=fix)
        if self._token is not None and scope["path"] != "/" and not scope["path"].startswith(OPEN):
            given = headers.get("authorization", "").encode("latin-1", "replace")
            kind, _, token = given.partition(b" ")
            if kind.lower() != b"bearer" or not secrets.compare_digest(token.strip(), self._token):
                fix = "Send Authorization: Bearer TOKEN."
                raise Refused(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong", where="Authorization", fix=fix)
        client = scope["client"][0] if scope.get("client") else ""
        if not scope["path"].startswith("/health/") and not self._limit.takes(client, time.monotonic()):
            what = f"more than {self.settings.rate:g} requests a second"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, what, fix="Send requests more slowly, or in batches.", retry=1)


def _host_name(host: str) -> str:
    """A Host header without its port, brackets and case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


async def _read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The whole body, which is small; refused by what it says of its length, or by what comes."""
    what = f"the body has more than {most:,} bytes"
    fix = "Send less at a time, or start the server with a larger --max-body."
    refused = Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, what, where="body", fix=fix)
    said = Headers(scope=scope).get("content-length", "")
    if said.isdigit() and int(said) > most:
        raise refused
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise refused
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then what comes after it."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed
