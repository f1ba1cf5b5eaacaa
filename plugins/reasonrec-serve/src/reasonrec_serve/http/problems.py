"""Errors as callers see them: problem+json (RFC 9457) with what is wrong, where, and how to mend it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from reasonrec_core.errors import ConfigError, DataError, ReasonRecError
from reasonrec_serve.bodies import name_faults

LOG = logging.getLogger("reasonrec.serve")
MEDIA_TYPE = "application/problem+json"


class ProblemBody(BaseModel):
    """What went wrong."""

    title: str
    status: int
    what: str
    where: str = ""
    fix: str = ""


class Refused(Exception):
    """A request that is not answered; becomes a `ProblemBody`.

    Args:
        status: of HTTP.
        what: is wrong.
        where: the part of the request.
        fix: what the caller can do.
        retry: seconds after which it may work, None where it will not.
    """

    def __init__(self, status: int, what: str, *, where: str = "", fix: str = "", retry: int | None = None) -> None:
        super().__init__(what)
        self.status, self.what, self.where, self.fix, self.retry = status, what, where, fix, retry

    @property
    def headers(self) -> dict[str, str]:
        """What the response says besides."""
        headers = {} if self.retry is None else {"Retry-After": str(self.retry)}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == HTTPStatus.UNAUTHORIZED else {})


def to_json(value: Any) -> bytes:
    """JSON in ASCII; numbers that JSON does not have become null."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_response(value: Any) -> Response:
    """An answer, made as it is: no model is asked again what the code just built."""
    return Response(to_json(value), media_type="application/json")


def describe(refused: Refused) -> dict[str, Any]:
    """The body of a problem."""
    title = HTTPStatus(refused.status).phrase
    problem = ProblemBody(title=title, status=refused.status, what=refused.what, where=refused.where, fix=refused.fix)
    return problem.model_dump()


def respond(refused: Refused) -> Response:
    """The response that says so."""
    return Response(to_json(describe(refused)), refused.status, refused.headers, MEDIA_TYPE)


def refuse(error: Exception) -> Refused:
    """What a caller is told of an error: all of what they caused, nothing of what is ours."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, ConfigError | DataError):
        where = (error.where or "").lstrip("-")
        return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, error.what, where=where, fix=error.fix or "")
    if isinstance(error, ReasonRecError):  # a component that failed: its message may name places on this machine
        LOG.error("a request failed: %s", error)
    else:
        LOG.error("a request failed", exc_info=error)
    return Refused(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the server failed on this request; it is not your fault",
        fix="The server's log says why.",
    )


def install_handlers(app: FastAPI) -> None:
    """Have every error of an app become a problem."""

    async def known(request: Request, error: Exception) -> Response:
        return respond(refuse(error))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return respond(_name_faults(error))

    async def other(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        fix = "GET /openapi.json lists all routes." if error.status_code in (404, 405) else ""
        return respond(Refused(error.status_code, str(error.detail), where=request.url.path[:200], fix=fix))

    for kind in (Refused, ReasonRecError, Exception):
        app.add_exception_handler(kind, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)


def _name_faults(error: RequestValidationError) -> Refused:
    """The first faults of a body or a query, each with its place."""
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return Refused(HTTPStatus.BAD_REQUEST, "the body is not JSON", where="body", fix="Send one JSON object.")
    what, where = name_faults(faults)
    fix = "GET /openapi.json describes the request."
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, what, where=where, fix=fix)
