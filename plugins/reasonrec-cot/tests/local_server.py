"""A real HTTP server over a small real model: OpenAI's completions and chats, where they state likelihoods."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import uvicorn
from reasonrec_cot.backbone.chat_template import PLAIN
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class LocalServer:
    """Answers `/v1/models`, `/v1/completions` and `/v1/chat/completions`.

    Attributes:
        backbone: the model, asked by transformers alone.
        echo: whether the likelihoods of a prompt's tokens are told.
        named: whether tokens that are asked for by number are told, whatever is likeliest (vLLM).
        faults: what goes wrong next, one a request: a status, "hang", "cut", "short", "text", "nan", "empty".
        asked: the bodies of all requests for completions or chats.
        likelihoods: whether a chat states any.
        keys: the keys that came with them.
        most: requests that were under way at once.
    """

    backbone: Any
    echo: bool = True
    named: bool = True
    likelihoods: bool = True
    faults: deque[Any] = field(default_factory=deque)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    most: int = 0
    under_way: int = 0
    url: str = ""

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "tiny", "owned_by": "tests"}]})

    async def completions(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        self.keys.append(request.headers.get("authorization"))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0.01)
            fault = self.faults.popleft() if self.faults else None
            if fault == "hang":
                await asyncio.sleep(1.5)
            if isinstance(fault, int):
                told = {"error": {"message": "no room\x1b[31m just now", "type": "test"}}
                return JSONResponse(told, fault, {"Retry-After": "0"} if fault == 429 else {})
            if body.get("echo") and not self.echo:
                return JSONResponse({"error": {"message": "Only no echo is supported"}}, 400)
            answer = self.answer(body) if "prompt" in body else self.answer_chat(body)
            return _damage(JSONResponse(answer), fault)
        finally:
            self.under_way -= 1

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """A reply in the form of vLLM."""
        tokenizer, prompt = self.backbone.tokenizer, body["prompt"]
        if isinstance(prompt, str):
            prompt = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logprobs = self.backbone.model(torch.tensor([prompt])).logits[0].double().log_softmax(-1)
        new = [int(logprobs[-1].argmax())]
        if body["max_tokens"] > 1:
            new = self._write(prompt, body)
        text = tokenizer.decode(new)
        reason = "length"
        for stop in body.get("stop") or ():
            if stop in text:
                text, reason = text[: text.index(stop)], "stop"
        told: dict[str, Any] | None = None
        if body.get("logprobs"):
            wanted = body.get("logprob_token_ids") if self.named else None
            best = wanted or logprobs[-1].topk(body["logprobs"]).indices.tolist()
            name = (lambda t: f"token_id:{t}") if self.named else (lambda t: tokenizer.decode([t]))
            values = [None, *(float(logprobs[at, t]) for at, t in enumerate(prompt[1:]))] if body.get("echo") else []
            told = {
                "tokens": [],
                "token_logprobs": [*values, float(logprobs[-1, new[0]])],
                "top_logprobs": [{name(t): float(logprobs[-1, t]) for t in best}],
            }
        return {
            "choices": [{"text": text, "index": 0, "logprobs": told, "finish_reason": reason}],
            "usage": {"prompt_tokens": len(prompt), "completion_tokens": len(new)},
        }

    def answer_chat(self, body: dict[str, Any]) -> dict[str, Any]:
        """A reply in the form of OpenAI."""
        tokens = self.tokens_of_chat(body["messages"])
        with torch.no_grad():
            logprobs = self.backbone.model(torch.tensor([tokens])).logits[0, -1].double().log_softmax(-1)
        listed = [
            {"token": self.backbone.tokenizer.decode([t]), "logprob": float(logprobs[t]), "bytes": None}
            for t in logprobs.topk(body["top_logprobs"]).indices.tolist()
        ]
        told = {"content": [{**listed[0], "top_logprobs": listed}]} if self.likelihoods else None
        message = {"role": "assistant", "content": listed[0]["token"]}
        return {
            "choices": [{"index": 0, "message": message, "logprobs": told, "finish_reason": "length"}],
            "usage": {"prompt_tokens": len(tokens), "completion_tokens": 1},
        }

    def tokens_of_chat(self, messages: list[dict[str, str]]) -> list[int]:
        """What the model reads of a chat, up to where it speaks."""
        template = self.backbone.tokenizer.chat_template or PLAIN
        text = self.backbone.tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=True
        )
        found: list[int] = self.backbone.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def _write(self, prompt: list[int], body: dict[str, Any]) -> list[int]:
        with torch.no_grad():
            text = torch.tensor([prompt])
            out = self.backbone.model.generate(text, max_new_tokens=body["max_tokens"], do_sample=False)
        found: list[int] = out[0, len(prompt) :].tolist()
        return found


def _damage(response: Response, fault: str | None) -> Response:
    whole = bytes(response.body)
    if fault == "cut":
        return Response(whole[: len(whole) // 2], media_type="application/json")
    if fault == "text":
        return Response(b"<html>gateway</html>", media_type="text/html")
    if fault == "short":
        return Response(whole.replace(b'"top_logprobs":[{', b'"none":[{').replace(b'"token_logprobs":[', b'"none":['))
    if fault == "nan":
        return Response(whole.replace(b'":-', b'":NaN,"x":-'))
    if fault == "empty":
        return Response(b'{"choices":[]}')
    return response


@contextmanager
def serving(backbone: Any, **settings: Any) -> Iterator[LocalServer]:
    """A server in a thread, on a port of its own, until the block ends."""
    local = LocalServer(backbone, **settings)
    routes = [
        Route("/v1/models", local.models),
        Route("/v1/completions", local.completions, methods=["POST"]),
        Route("/v1/chat/completions", local.completions, methods=["POST"]),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    local.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    try:
        yield local
    finally:
        server.should_exit = True
        thread.join(10)
