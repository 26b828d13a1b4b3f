"""Requests of JSON-RPC 2.0: single or in a batch, each answered by a method or by an error."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from consilium_peers.ethereum.rpc.errors import (
    InternalRpcError,
    InvalidRequestError,
    LimitError,
    ParseError,
    RpcError,
    UnknownMethodError,
)
from consilium_peers.ethereum.rpc.method_table import Methods
from consilium_peers.ethereum.rpc.parameters import Parameters

log = logging.getLogger("consilium.ethereum.rpc")

MOST_IN_BATCH = 100
_NEEDS_WEBSOCKET = ("eth_subscribe", "eth_unsubscribe")


async def answer_body(body: bytes, methods: Methods) -> bytes:
    """Answer a body; what expects no answer (notifications) is answered by nothing at all."""
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _encoded(_failed(None, ParseError("the body isn't JSON")))
    if not isinstance(asked, list):
        answer = await _answer(asked, methods)
        return b"" if answer is None else _encoded(answer)
    if not asked:
        return _encoded(_failed(None, InvalidRequestError("an empty batch")))
    if len(asked) > MOST_IN_BATCH:
        return _encoded(
            _failed(None, LimitError(f"a batch of {len(asked)}; at most {MOST_IN_BATCH} are taken at once"))
        )
    # One after the other: what is sent first in a batch comes first.
    answers = [await _answer(each, methods) for each in asked]
    told = [each for each in answers if each is not None]
    return _encoded(told) if told else b""


async def _answer(asked: object, methods: Methods) -> dict[str, object] | None:
    try:
        number, name, parameters = _read(asked)
    except InvalidRequestError as error:
        identifier = asked.get("id") if isinstance(asked, dict) else None
        return _failed(identifier if isinstance(identifier, str | int) else None, error)
    try:
        result = await _called(methods, name, parameters)
    except RpcError as error:
        return None if number is _NO_ANSWER else _failed(number, error)
    except Exception as error:
        log.error("a method failed", exc_info=error, extra={"method": name})
        return None if number is _NO_ANSWER else _failed(number, InternalRpcError(f"internal error in {name}"))
    return None if number is _NO_ANSWER else {"jsonrpc": "2.0", "id": number, "result": result}


_NO_ANSWER: Any = object()


def _read(asked: object) -> tuple[Any, str, list[object]]:
    """Return number, method and parameters of a request."""
    if not isinstance(asked, dict):
        raise InvalidRequestError("a request is an object")
    if asked.get("jsonrpc") != "2.0":
        raise InvalidRequestError('a request has "jsonrpc": "2.0"')
    number = asked.get("id", _NO_ANSWER)
    if number is not _NO_ANSWER and (isinstance(number, bool) or not isinstance(number, str | int | float | None)):
        raise InvalidRequestError("id must be a string, a number or null")
    name = asked.get("method")
    if not isinstance(name, str):
        raise InvalidRequestError("method must be a string")
    parameters = asked.get("params")
    if parameters is not None and not isinstance(parameters, list):
        raise InvalidRequestError("params must be a list")
    return number, name, parameters or []


async def _called(methods: Methods, name: str, parameters: list[object]) -> object:
    function = methods.get(name)
    if function is not None:
        return await function(Parameters(parameters))
    if name in _NEEDS_WEBSOCKET:
        raise UnknownMethodError(f"{name} needs a WebSocket connection: notifications aren't supported over HTTP")
    raise UnknownMethodError(f"the method {name[:60]} does not exist or is not available")


def _failed(number: object, error: RpcError) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "error": error.as_object()}


def _encoded(answer: object) -> bytes:
    return msgspec.json.encode(answer)
