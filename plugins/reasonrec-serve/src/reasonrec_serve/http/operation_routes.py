"""Routes for whoever runs the server, and what a page says of it."""

from __future__ import annotations

import os
import time
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from reasonrec_serve.history_store import StoreUnavailable
from reasonrec_serve.http.learning import describe_learning
from reasonrec_serve.http.metrics import MEDIA_TYPE
from reasonrec_serve.http.problems import Refused, json_response
from reasonrec_serve.http.run_facts import describe_run, find_labels
from reasonrec_serve.http.service import Service
from reasonrec_serve.http.state import Current


async def live() -> Response:
    """The process answers."""
    return json_response({"live": True})


async def ready(service: Current) -> Response:
    """The run is loaded and warm."""
    if not service.ready:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the run is being loaded", retry=1)
    return json_response({"ready": True})


async def metrics(service: Current) -> Response:
    """What all processes counted, as Prometheus reads it."""
    return Response(await service.aside(service.metrics.expose), media_type=MEDIA_TYPE)


async def run(service: Current) -> Response:
    """What is answered from: name, policy, date, protocol, metrics, and what can be assumed."""
    return json_response(await service.ask(describe_run))


async def labels(
    service: Current,
    field: Annotated[str, Query(max_length=200)],
    q: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """Labels of an item field that hold ``q`` and can be assumed."""
    known = await service.ask(find_labels)
    if field not in known:
        fix = f"There are: {', '.join(known)}." if known else "The steps of this run's policy cannot be edited."
        raise Refused(HTTPStatus.NOT_FOUND, "there is no such field to assume", where="field", fix=fix)
    found = [label for label in known[field] if q.casefold() in label.casefold()]
    return json_response({"field": field, "labels": found[:limit], "count": len(found)})


async def status(service: Current) -> Response:
    """Latency by route, who answered, what became of events; of all processes since the server started."""

    def work() -> dict[str, Any]:
        return {**service.metrics.summarise(), "store": _check_store(service)}

    settings = service.settings
    facts: dict[str, Any] = {
        "worker": {"process": os.getpid(), "seconds": round(time.time() - service.started, 1), "busy": service.busy},
        "workers": settings.workers,
        "learned_events": service.learned,
        "learning": describe_learning(service.recommender.agent, learn=bool(settings.learn)),
        "confidence": None if service.outcomes is None else service.outcomes.summarise(),
    }
    return json_response(facts | await service.aside(work))


def _check_store(service: Service) -> dict[str, Any]:
    store = service.live.store
    if store is None:
        return {"kind": None, "reached": False}
    facts: dict[str, Any] = {"kind": type(store).__name__}
    try:
        return facts | {"reached": True, "last_position": service.live.call(store.last_position)}
    except StoreUnavailable:
        return facts | {"reached": False}


router = APIRouter(tags=["operation"])
router.add_api_route("/health/live", live)
router.add_api_route("/health/ready", ready)
router.add_api_route("/metrics", metrics)
router.add_api_route("/v1/run", run)
router.add_api_route("/v1/labels", labels)
router.add_api_route("/v1/status", status)
