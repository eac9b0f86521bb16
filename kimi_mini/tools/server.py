"""A world as an MCP server over stdio: whoever speaks the Model Context Protocol can act in it."""

from __future__ import annotations

import asyncio

from ..chat import compact
from .world import World


def serve(world: World) -> None:
    """Serve `world` on standard input and output until the client closes it; needs the package mcp.

    One process is one episode. The server's instructions are the world's policy; tools that change nothing carry MCP's
    read-only hint; a call that the world refuses comes back with is_error and the reason as text.
    """
    asyncio.run(_serve(world))


async def _serve(world: World) -> None:
    import jsonschema  # noqa: F401  now, so that no call waits for it
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server
    from mcp.types import CallToolResult, ListToolsResult, TextContent, ToolAnnotations
    from mcp.types import Tool as Listed

    async def list_tools(context, params) -> ListToolsResult:
        return ListToolsResult(
            tools=[
                Listed(
                    name=tool.name, description=tool.description, input_schema=tool.parameters,
                    annotations=ToolAnnotations(read_only_hint=tool.reads),
                )
                for tool in world.tools
            ]
        )  # fmt: skip

    async def call_tool(context, params) -> CallToolResult:
        result = world.call(params.name, params.arguments or {})
        text = compact(result.value) if result.ok else result.value
        return CallToolResult(content=[TextContent(type="text", text=text)], is_error=not result.ok)

    server = Server(
        f"kimi_mini.{world.name}", instructions=world.policy or None, on_list_tools=list_tools, on_call_tool=call_tool
    )
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
