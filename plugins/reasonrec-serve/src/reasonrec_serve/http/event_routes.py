"""What people do, told while it happens."""

from __future__ import annotations

import time
from http import HTTPStatus

from fastapi import APIRouter, Response

from reasonrec_serve.bodies import EventsBody
from reasonrec_serve.history_store import Event, StoreUnavailable
from reasonrec_serve.http.problems import Refused, json_response
from reasonrec_serve.http.state import Current

AHEAD = 86_400
"""Seconds that a sender's clock may be ahead of ours."""


async def add_events(body: EventsBody, service: Current) -> Response:
    """Keep events; the next request of their users sees them. The same id is the same event, so sending again is safe.

    ``new`` were kept, ``repeated`` were there already; under a ``conflicting`` id another user or item stands, which
    was kept. Events of items that the run does not have are kept and do not count yet (``unknown_items``).
    """
    store = service.live.store
    if store is None:
        fix = "Start it without --store none."
        raise Refused(HTTPStatus.NOT_IMPLEMENTED, "this server does not store events", fix=fix)
    events = _read_events(body)
    try:
        kept = await service.aside(lambda: service.live.call(lambda: store.append(events)))
    except StoreUnavailable as error:
        what, fix = (
            f"{error.what}: none of the events was confirmed",
            "Send the same events again: their ids prevent duplicates.",
        )
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, what, fix=fix, retry=2) from error
    index = service.recommender.dataset.catalog.index
    service.metrics.count_events(kept)
    answer = {"new": kept.new, "repeated": kept.repeated, "conflicting": kept.conflicting}
    return json_response({**answer, "unknown_items": sum(event.item not in index for event in events)})


def _read_events(body: EventsBody) -> list[Event]:
    """Events as they are kept, each id once.

    Raises:
        Refused: one id for two events, or a time in the future.
    """
    now, found = int(time.time()), dict[str, Event]()
    for place, sent in enumerate(body.events):
        event = Event(str(sent.id), str(sent.user), str(sent.item), now if sent.time is None else sent.time)
        where = f"body.events[{place}]"
        if event.time > now + AHEAD:
            what, fix = f"the time {event.time} is in the future", "Use seconds since 1970, not milliseconds."
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, what, where=f"{where}.time", fix=fix)
        if found.setdefault(event.id, event) != event:
            what, fix = "two events have the same id", "Give each event an id of its own."
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, what, where=f"{where}.id", fix=fix)
    return list(found.values())


router = APIRouter(prefix="/v1", tags=["events"])
router.add_api_route("/events", add_events, methods=["POST"])
