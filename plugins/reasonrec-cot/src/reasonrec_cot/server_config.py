"""Settings of a language model that answers over HTTP. Cheap to import."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from reasonrec_core.components import Settings

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class ServerConfig(Settings):
    """Where the server is, and how it is asked."""

    url: str = Field(description="Address of the API, such as http://localhost:8000/v1.")
    model: str | None = Field(
        None, description="The model's name on the server; if not set, the only one that the server lists."
    )
    api: Literal["completions", "chat"] = Field(
        "completions",
        description="What is asked. completions: /completions, with prompts as a local model would read them; chat: "
        "/chat/completions, for servers that have nothing else: it chooses among labels (at most 26) or yes and no.",
    )
    key: str = Field(
        "OPENAI_API_KEY",
        description="Environment variable that holds the key. The key itself is never written anywhere; a server "
        "that asks for none needs none.",
    )
    timeout: float = Field(60.0, gt=0, description="Seconds until a request is given up.")
    retries: int = Field(
        4, ge=0, le=20, description="How often a request is repeated that failed or came back damaged; waits grow."
    )
    concurrency: int = Field(8, ge=1, le=256, description="Requests that are under way at once.")
    prompts: Literal["tokens", "text"] = Field(
        "tokens",
        description="How prompts are sent. tokens: as the model's token numbers, so that the server reads what a "
        "local model would; text: for servers that take only text (Ollama). A chat is always text.",
    )
    top: int = Field(
        20,
        ge=1,
        le=1000,
        description="How many of the likeliest next tokens are asked for; servers have limits (vLLM: 20).",
    )
    price_read: float | None = Field(
        None, ge=0, description="Price of a million tokens read; 0 where only price_written is set."
    )
    price_written: float | None = Field(
        None, ge=0, description="Price of a million tokens written; 0 where only price_read is set."
    )
    currency: str = Field("", max_length=12, description="Currency of the prices, such as USD; shown beside costs.")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                f"{self.url!r} is not the address of a server: write http://HOST:PORT/v1 or https://HOST/v1"
            )
        if parts.username or parts.password:
            raise ValueError("an address holds no user name or password: put the key into an environment variable")
        return self

    def cost(self, read: float, written: float) -> float | None:
        """What so many tokens cost, in ``currency``; None where no price is set."""
        if self.price_read is None and self.price_written is None:
            return None
        return (read * (self.price_read or 0.0) + written * (self.price_written or 0.0)) / 1e6

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read what is sent: it is encrypted, or stays on this machine."""
        parts = urlsplit(self.url)
        return parts.scheme == "https" or parts.hostname in LOCAL
