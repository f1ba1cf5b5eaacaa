"""The ASGI app of one worker."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Response
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from uvicorn.config import STARTUP_FAILURE

from reasonrec_core import __version__
from reasonrec_core.errors import ReasonRecError
from reasonrec_serve.http import answer_routes, catalogue_routes, event_routes, operation_routes
from reasonrec_serve.http.guard import Guard
from reasonrec_serve.http.problems import install_handlers
from reasonrec_serve.http.service import Service
from reasonrec_serve.http.settings import ServeSettings

LOG = logging.getLogger("reasonrec.serve")
PAGE = Path(__file__).parent / "page"


def make_app(settings: ServeSettings) -> FastAPI:
    """The app, with the run loaded and warm.

    Raises:
        ReasonRecError: the run cannot be served.
    """

    service = Service(settings)
    service.load()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.open()
        yield
        await service.close()

    # The interactive documentation would load scripts from elsewhere, which the page's policy forbids.
    app = FastAPI(
        title="ReasonRec",
        version=__version__,
        description="Answers from a finished run, with reasons and confidence.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    install_handlers(app)
    for part in (answer_routes, catalogue_routes, event_routes, operation_routes):
        app.include_router(part.router)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")

    app.add_api_route("/", _page, include_in_schema=False)
    app.add_middleware(Guard, settings=settings, metrics=app.state.service.metrics)
    return app


async def _page() -> Response:
    return FileResponse(PAGE / "index.html")


def make_worker_app() -> FastAPI:
    """The app of a worker, whose parent left the settings (`ServeSettings.tell_workers`)."""
    settings = ServeSettings.of_worker()
    try:
        return make_app(settings)
    except ReasonRecError as error:
        if not settings.supervised:
            raise
        # The supervisor knows by this exit code that starting again would not help.
        LOG.error("the run cannot be served: %s", error)
        sys.exit(STARTUP_FAILURE)
