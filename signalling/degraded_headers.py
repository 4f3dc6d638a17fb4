"""Every HTTP answer that is given in a degraded mode says so in its headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

STARTS = ("http.response.start", "websocket.http.response.start")  # the second: a WebSocket is refused


class DegradedHeaders:
    """Middleware around an application; `told` gives the headers that are due now."""

    def __init__(self, app: ASGIApp, told: Callable[[], Mapping[str, str]]) -> None:
        self._app = app
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def tell(message: Message) -> None:
            if message["type"] in STARTS and (told := self._told()):
                lines = [(name.lower().encode(), value.encode()) for name, value in told.items()]
                message = {**message, "headers": [*message.get("headers", ()), *lines]}
            await send(message)

        await self._app(scope, receive, tell)
