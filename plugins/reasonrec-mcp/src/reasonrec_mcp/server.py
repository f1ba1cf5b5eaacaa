"""The server: tools by the Model Context Protocol, one call at a time, over standard input and output."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool, ToolAnnotations
from pydantic import ValidationError
from reasonrec_serve.bodies import name_faults

from reasonrec_core import __version__
from reasonrec_core.errors import ConfigError, DataError, ReasonRecError, did_you_mean
from reasonrec_mcp.fence import WARNING, quote
from reasonrec_mcp.tools import Result, Tools

LOG = logging.getLogger("reasonrec.mcp")
HINTS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
INSTRUCTIONS = (
    "Recommendations from one catalogue and its users' histories, with reasons and calibrated confidence. Recommend "
    "only items that these tools name, by their ids. An answer that states no confidence or is not personalised says "
    f"so: pass that on. {WARNING}"
)


def make_server(tools: Tools, turn: anyio.CapacityLimiter) -> Server[Any]:
    """The server of an opened run; ``turn`` lets one call work at a time, as threads would not answer faster."""

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=describe_tools(tools))

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        work = partial(answer_call, tools, params.name, params.arguments or {})
        return await anyio.to_thread.run_sync(work, limiter=turn)

    name = f"reasonrec {tools.run.config.name}"
    return Server(
        name,
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def describe_tools(tools: Tools) -> list[Tool]:
    """What each tool takes and gives, as JSON schemas."""
    return [
        Tool(
            name=name,
            description=" ".join((tool.arguments.__doc__ or "").replace("``", "`").split()),
            input_schema={k: v for k, v in tool.arguments.model_json_schema().items() if k != "description"},
            output_schema=tool.output,
            annotations=HINTS,
        )
        for name, tool in tools.all.items()
    ]


def answer_call(tools: Tools, name: str, arguments: dict[str, Any]) -> CallToolResult:
    """What a tool gives, or what is wrong with the call: what, where, fix."""
    try:
        if name not in tools.all:
            raise ConfigError(f"there is no tool {name!r}", where="name", fix=did_you_mean(name, tools.all))
        return tell(tools.call(name, arguments))
    except ValidationError as error:
        what, where = name_faults(error.errors(include_url=False, include_input=False))
        return refuse(what, where, "The tool's input schema describes the call.")
    except (ConfigError, DataError) as error:
        return refuse(error.what, (error.where or "").lstrip("-"), error.fix or "")
    except ReasonRecError as error:  # a component that failed: its message may name places on this machine
        LOG.error("a call of %s failed: %s", name, error)
    except Exception as error:
        LOG.error("a call of %s failed", name, exc_info=error)
    return refuse("the recommender failed on this call; it is not your fault", "", "The server's log says why.")


def tell(result: Result) -> CallToolResult:
    """A result: short text, and all of it as JSON."""
    text = "\n".join([WARNING, *result.lines])
    return CallToolResult(content=[TextContent(text=text)], structured_content=result.values)


def refuse(what: str, where: str, fix: str) -> CallToolResult:
    """A call that is not answered; what is said may repeat texts of the catalogue or the caller."""
    problem = {"what": what, "where": where, "fix": fix}
    said = [f"{part}: {quote(text)}" for part, text in problem.items() if text]
    text = "\n".join(["Not answered.", *said])
    return CallToolResult(content=[TextContent(text=text)], structured_content=problem, is_error=True)


def serve(tools: Tools) -> None:
    """Answer calls until standard input ends."""
    anyio.run(_serve, tools)


async def _serve(tools: Tools) -> None:
    turn = anyio.CapacityLimiter(1)
    server = make_server(tools, turn)
    async with anyio.create_task_group() as group, stdio_server() as (reader, writer):
        group.start_soon(partial(anyio.to_thread.run_sync, tools.warm_up, limiter=turn))
        await server.run(reader, writer, server.create_initialization_options())
