"""How a route comes by the service."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from reasonrec_serve.http.service import Service


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Current = Annotated[Service, Depends(_service)]
"""The service of the app that a request came to."""
