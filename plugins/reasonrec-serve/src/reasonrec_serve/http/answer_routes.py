"""Routes that ask the run."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from reasonrec_serve.http.bodies import RecommendBody
from reasonrec_serve.http.problems import json_response
from reasonrec_serve.http.state import Current
from reasonrec_serve.recommender import Recommender


async def recommend(body: RecommendBody, service: Current) -> Response:
    """Recommend items to a user or for a history."""
    return json_response(await service.ask(lambda run: answer_one(run, body)))


def answer_one(run: Recommender, body: RecommendBody) -> dict[str, Any]:
    """The answer to one request, as it is sent."""
    return run.recommend(**body.model_dump(exclude={"steps"})).to_dict(steps=body.steps)


router = APIRouter(prefix="/v1", tags=["answers"])
router.add_api_route("/recommend", recommend, methods=["POST"])
