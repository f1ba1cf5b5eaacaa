"""Routes that ask the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from reasonrec_core.errors import ReasonRecError
from reasonrec_serve.bodies import BatchBody, CompareBody, RecommendBody, SimilarBody
from reasonrec_serve.http.comparison import compare_systems
from reasonrec_serve.http.problems import describe, json_response, refuse
from reasonrec_serve.http.service import Service
from reasonrec_serve.http.state import Current
from reasonrec_serve.recommender import Recommender


async def recommend(body: RecommendBody, service: Current) -> Response:
    """Recommend items to a user or for a history.

    For a user ``live`` says how many of their events were added to their log, and whether the store could be asked.
    """
    return json_response(await service.ask(lambda run: answer_request(service, run, body)))


async def batch(body: BatchBody, service: Current) -> Response:
    """Answer several requests, in their order; one that cannot be answered has a ``problem`` in its place."""
    answers = list[dict[str, Any]]()
    for each in body.requests:  # each in turn, so that others' requests come in between
        answers.append(await service.ask(lambda run, each=each: _answer_or_say(service, run, each)))  # type: ignore[misc]
    return json_response({"answers": answers})


async def similar(body: SimilarBody, service: Current) -> Response:
    """Items that are like an item, and what they share."""
    fields = body.model_dump(exclude={"item"})
    return json_response(await service.ask(lambda run: run.similar(body.item, **fields).to_dict()))


async def compare(body: CompareBody, service: Current) -> Response:
    """The same request, answered by every system of the run, without routing."""

    def work(run: Recommender) -> dict[str, Any]:
        request, live = service.live.join(run.dataset, body.make_request())
        return {"systems": compare_systems(run, request), "live": live and asdict(live)}

    return json_response(await service.ask(work))


def answer_request(service: Service, run: Recommender, body: RecommendBody) -> dict[str, Any]:
    """The answer to one request, as it is sent."""
    request, live = service.live.join(run.dataset, body.make_request())
    answer = run.answer(request)
    service.metrics.count_answer(answer.by, answer.route)
    if service.outcomes is not None:
        answer = service.outcomes.correct(answer)
    found: Mapping[str, Any] = answer.to_dict(steps=body.steps, because=body.because)
    return {**found, "live": asdict(live)} if live else dict(found)


def _answer_or_say(service: Service, run: Recommender, body: RecommendBody) -> dict[str, Any]:
    try:
        return answer_request(service, run, body)
    except ReasonRecError as error:
        return {"problem": describe(refuse(error))}


router = APIRouter(prefix="/v1", tags=["answers"])
router.add_api_route("/recommend", recommend, methods=["POST"])
router.add_api_route("/batch", batch, methods=["POST"])
router.add_api_route("/similar", similar, methods=["POST"])
router.add_api_route("/compare", compare, methods=["POST"])
