"""What a server is told when it starts; handed to its worker processes as one JSON text."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Self

from pydantic import Field

from reasonrec_core.components import Settings
from reasonrec_core.errors import ConfigError
from reasonrec_serve.history_store import HistoryStore, beside_run, open_store

VARIABLE = "REASONREC_SERVE"
"""The environment variable by which workers are told."""
SHORTEST_TOKEN = 16
"""Characters that a token needs."""


class ServeSettings(Settings):
    """A run, where it is offered, and what a caller may ask of it."""

    run: Path = Field(description="The run folder, or a link to it.")
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Number of processes; each loads the run.")
    token_file: Path | None = Field(None, description="A file with the token that callers must send.")
    store: str = Field("", description="Where events are stored: a path, a URL, or `none`; empty: beside the run.")
    trace: bool = Field(False, description="Write a row per decision, with hashed user ids.")
    watch: float = Field(0.0, ge=0, description="How often to look for a newer run, in seconds; 0: never.")
    learn: float = Field(
        0.0, ge=0, description="How often confidence and counting delegates learn from events, in seconds; 0: never."
    )
    max_body: int = Field(1_000_000, ge=1_000, description="Largest body of a request, in bytes.")
    rate: float = Field(
        1_000.0, ge=0, description="Most requests per second that a worker accepts from one client; 0: no limit."
    )
    queue: int = Field(64, ge=1, description="Most requests per worker that wait or are being answered.")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def supervised(self) -> bool:
        """Whether workers are processes that are started again and replaced."""
        return self.workers > 1 or self.watch > 0

    def check(self) -> Self:
        """Refuse to be reached from elsewhere without a token.

        Raises:
            ConfigError: no token, a short one, or a token file that cannot be read.
        """
        if not self.loopback and self.token_file is None:
            raise ConfigError(
                f"{self.host} can be reached from other machines, but no token is required",
                where="--host",
                fix="Give --token-file FILE (openssl rand -hex 32 > FILE), or stay at 127.0.0.1.",
            )
        self.read_token()
        return self

    def read_token(self) -> bytes | None:
        """The token that callers must bring, None where none is asked for."""
        if self.token_file is None:
            return None
        try:
            token = self.token_file.read_bytes().strip()
        except OSError as error:
            raise ConfigError(
                f"cannot be read ({error.strerror})",
                where=f"--token-file {self.token_file}",
                fix="Make one: openssl rand -hex 32 > FILE.",
            ) from error
        if len(token) < SHORTEST_TOKEN or not token.isascii() or len(token.split()) != 1:
            raise ConfigError(
                f"a token must be one word of at least {SHORTEST_TOKEN} ASCII characters",
                where=f"--token-file {self.token_file}",
                fix="Make one: openssl rand -hex 32 > FILE.",
            )
        return token

    def tell_workers(self) -> None:
        """Leave the settings where `of_worker` finds them."""
        os.environ[VARIABLE] = self.model_dump_json()

    @classmethod
    def of_worker(cls) -> Self:
        """The settings that this worker's parent left."""
        return cls.model_validate_json(os.environ[VARIABLE])


def find_store(settings: ServeSettings) -> HistoryStore | None:
    """The store that the settings name; a file beside the run where they name none.

    Raises:
        ConfigError: it can never be used.
    """
    if settings.store == "none":
        return None
    return open_store(settings.store or str(beside_run(settings.run)))
