"""JSON-RPC over HTTP and over WebSockets, at one address and path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from consilium_peers.ethereum.rpc.callers import Callers
from consilium_peers.ethereum.rpc.dispatch import answer_body, encoded
from consilium_peers.ethereum.rpc.errors import ServingError
from consilium_peers.ethereum.rpc.method_table import Methods, method_table
from consilium_peers.ethereum.rpc.subscriptions import Subscriptions, Tell

MOST_BODY_BYTES = 5 * 1024 * 1024
BODY_SECONDS = 30.0
MOST_CONNECTIONS = 256
"""Of WebSockets."""
_HEARTBEAT_SECONDS = 30.0
_MOST_UNSENT = 10_000
_MOST_UNSENT_BYTES = 64 * 1024 * 1024
_MOST_AT_ONCE = 32
_STOP_SECONDS = 5.0

Subscribing = Callable[[Tell], Subscriptions]


class HttpServer:
    """Answers by `methods`; `subscribing` makes the subscriptions of a WebSocket connection."""

    def __init__(self, methods: Methods, subscribing: Subscribing, callers: Callers) -> None:
        self._methods = methods
        self._subscribing = subscribing
        self._callers = callers
        self._sockets: set[web.WebSocketResponse] = set()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve as long as the block lasts; yield the port, which is a free one where 0 was asked for.

        Raises:
            ServingError: the address can't be listened at.
        """
        application = web.Application(client_max_size=MOST_BODY_BYTES, middlewares=[self._checked])
        application.router.add_post("/", self._post)
        application.router.add_get("/", self._get)
        application.router.add_route("OPTIONS", "/", self._preflight)
        application.on_shutdown.append(self._close_sockets)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_STOP_SECONDS)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                raise ServingError(f"can't listen at {host}:{port}: {error.strerror or error}") from None
            yield int(runner.addresses[0][1])
        finally:
            await runner.cleanup()

    @web.middleware
    async def _checked(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Refuse who may not ask; let a page's browser see the answer if the page may."""
        if not self._callers.host_is_known(request.headers.get("Host")):
            return _refused(403, "the Host header has a name that isn't this server's; name it with --host")
        origin = request.headers.get("Origin")
        if not self._callers.origin_is_allowed(origin):
            return _refused(403, "web pages of this origin may not ask; allow it with --allow-origin")
        response: web.StreamResponse = await handler(request)
        if origin is not None and not response.prepared:
            response.headers.update({"Access-Control-Allow-Origin": origin, "Vary": "Origin"})
        return response

    async def _preflight(self, request: web.Request) -> web.Response:
        """Tell a browser what a page that may ask may send."""
        headers = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": "600",
        }
        if request.headers.get("Access-Control-Request-Private-Network") == "true":
            headers["Access-Control-Allow-Private-Network"] = "true"
        return web.Response(status=204, headers=headers)

    async def _post(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return _refused(415, "send JSON, with Content-Type: application/json")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            return _refused(408, f"the body didn't come within {BODY_SECONDS:g} s")
        return web.Response(body=await answer_body(body, self._methods), content_type="application/json")

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return _refused(405, "JSON-RPC is asked by POST, or over a WebSocket")
        if len(self._sockets) >= MOST_CONNECTIONS:
            return _refused(503, f"{MOST_CONNECTIONS} WebSockets are open")
        socket = web.WebSocketResponse(max_msg_size=MOST_BODY_BYTES, heartbeat=_HEARTBEAT_SECONDS)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            await self._converse(socket, request)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _converse(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        """Answer what comes over a WebSocket and tell what its subscriptions bring, until it is closed."""
        unsent = _Unsent()

        def put(told: bytes) -> None:
            """Hand something to the sender; who doesn't read fast enough is cut off."""
            if not unsent.put(told) and request.transport is not None:
                request.transport.abort()

        subscriptions = self._subscribing(lambda told: put(encoded(told)))
        methods = {**self._methods, **method_table(subscriptions)}
        room = asyncio.Semaphore(_MOST_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(_send_all(socket, unsent))

            async def answer(body: bytes) -> None:
                try:
                    answered = await answer_body(body, methods)
                    if answered:
                        put(answered)
                finally:
                    room.release()

            try:
                async for message in socket:
                    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                        continue
                    body = message.data.encode() if isinstance(message.data, str) else message.data
                    await room.acquire()
                    tasks.create_task(answer(body))
            finally:
                subscriptions.close()
                sender.cancel()

    async def _close_sockets(self, _: web.Application) -> None:
        for socket in list(self._sockets):
            with suppress(ConnectionError):
                await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")


class _Unsent:
    """What a WebSocket's other side hasn't read yet, bounded in number and bytes."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._size = 0

    def put(self, told: bytes) -> bool:
        """Take a message; False when there is no room for it."""
        if self._queue.qsize() >= _MOST_UNSENT or self._size + len(told) > _MOST_UNSENT_BYTES:
            return False
        self._size += len(told)
        self._queue.put_nowait(told)
        return True

    async def send_next(self, socket: web.WebSocketResponse) -> None:
        """Wait for a message and send it; until it is on its way it counts."""
        told = await self._queue.get()
        await socket.send_str(told.decode())
        self._size -= len(told)


async def _send_all(socket: web.WebSocketResponse, unsent: _Unsent) -> None:
    with suppress(ConnectionError):
        while True:
            await unsent.send_next(socket)


def _refused(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=f"{why}\n")
