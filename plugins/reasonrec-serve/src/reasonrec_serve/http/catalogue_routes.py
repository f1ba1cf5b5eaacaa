"""Routes that look things up: items, users, pictures."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from reasonrec_serve.bodies import LONGEST_ID
from reasonrec_serve.http.problems import json_response
from reasonrec_serve.http.state import Current

Words = Annotated[str, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=100)]


async def find_items(
    service: Current,
    q: Words = "",
    limit: Limit = 20,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    id: Annotated[list[str] | None, Query(max_length=200)] = None,
) -> Response:
    """Items whose title or id holds all words of ``q``; or those with the given ids, unknown ones left out."""

    def find() -> list[dict[str, Any]]:
        index = service.recommender.dataset.catalog.index
        known = [index[each] for each in id or () if each in index]
        return [service.items.describe(item) for item in (known if id else service.items.find(q, limit, offset))]

    return json_response({"items": await service.aside(find)})


async def find_users(service: Current, q: Words = "", limit: Limit = 20) -> Response:
    """Users whose id begins with ``q``."""
    return json_response({"users": await service.aside(lambda: service.users.find(q, limit))})


async def find_values(service: Current, field: Words, q: Words = "", limit: Limit = 20) -> Response:
    """Values of an item field that hold ``q``, for a condition on it (`where`), the most frequent first."""

    def find() -> list[dict[str, Any]]:
        known, wanted = service.recommender.item_filter.values(field), q.casefold()
        found = ({"value": value, "items": count} for value, count in known.items() if wanted in value.casefold())
        return list(islice(found, limit))

    return json_response({"field": field, "values": await service.aside(find)})


async def show_image(
    service: Current,
    item: Annotated[str, Path(max_length=LONGEST_ID)],
    w: Annotated[int, Query(ge=1, le=1024)] = 256,
) -> Response:
    """The picture of an item as a JPEG, at most ``w`` pixels wide and high: 64, 128, 256, 512, or 1024."""
    made = await service.aside(lambda: service.pictures.get(item, w))
    return Response(made, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


router = APIRouter(prefix="/v1", tags=["catalogue"])
router.add_api_route("/items", find_items)
router.add_api_route("/values", find_values)
router.add_api_route("/users", find_users)
router.add_api_route("/images/{item:path}", show_image)
