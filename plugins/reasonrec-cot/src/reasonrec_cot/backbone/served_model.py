"""What all models behind an HTTP API have in common: a client, a name, and one way to ask many things at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import httpx2

from reasonrec_core.errors import ConfigError
from reasonrec_cot.backbone.kv_cache import Usage
from reasonrec_cot.backbone.server_client import Body, RefusedRequest, ServerClient, read_usage
from reasonrec_cot.server_config import ServerConfig

T = TypeVar("T")
FIXES = {
    401: "Put the server's key into the environment variable {key} (policy.server.key names it).",
    403: "The key in the environment variable {key} may not do this (policy.server.key names it).",
    404: "policy.server.url should end where the API begins, such as http://localhost:8000/v1; policy.server.api says "
    "whether completions or chats are asked for.",
}
"""By HTTP status."""


class ServedModel:
    """A model on a server.

    Args:
        config: the server.
        transport: instead of the network; for tests.

    Raises:
        ConfigError: the server has no such model.
    """

    path: ClassVar[str]
    """Where the API is asked, below its address."""

    def __init__(self, config: ServerConfig, transport: httpx2.BaseTransport | None = None) -> None:
        self.config = config
        self.client = ServerClient(config, transport)
        self.name = self.client.find_model()

    def remember_requests(self, wanted: bool) -> None:
        """Nothing is kept here. What a server keeps cannot be stopped: asked again, a request may cost it less."""

    def groups(self, lengths: Sequence[int]) -> list[list[int]]:
        """All of them: the server decides what it does side by side."""
        return [list(range(len(lengths)))] if lengths else []

    def request(
        self, bodies: Sequence[Body], usage: Usage, read: Callable[[Any, int], T], lengths: Sequence[int] | None = None
    ) -> list[T]:
        """Send bodies, read the replies, and count their tokens into ``usage``.

        Args:
            bodies: JSON.
            usage: what was spent so far.
            read: see `ServerClient.complete`.
            lengths: tokens of each text, where they are known: for servers that do not count.

        Raises:
            ConfigError: the server will not answer such requests.
            PluginError: it failed to the end.
        """

        def read_and_count(reply: Any, at: int) -> tuple[T, Usage]:
            spent = read_usage(reply)
            if lengths is not None and not spent.tokens and not spent.reused:
                spent = Usage(read=lengths[at])
            return read(reply, at), spent

        try:
            answers = self.client.complete(bodies, read_and_count, self.path)
        except RefusedRequest as refused:
            fix = FIXES.get(refused.status, "See what the server supports: docs of reasonrec-cot, Servers.")
            what = f"the language model's server refuses what it is asked: {refused}"
            raise ConfigError(what, where=self.config.url, fix=fix.format(key=self.config.key)) from refused
        for _, spent in answers:
            usage.add(spent)
        return [answer for answer, _ in answers]
