"""Routes for whoever runs the server: is it alive, is it ready."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response

from reasonrec_serve.http.problems import Refused, json_response
from reasonrec_serve.http.state import Current


async def live() -> Response:
    """The process answers."""
    return json_response({"live": True})


async def ready(service: Current) -> Response:
    """The run is loaded and warm."""
    if not service.ready:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the run is being loaded", retry=1)
    return json_response({"ready": True})


router = APIRouter(tags=["operation"])
router.add_api_route("/health/live", live)
router.add_api_route("/health/ready", ready)
