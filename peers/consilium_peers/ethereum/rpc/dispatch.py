"""Requests of JSON-RPC 2.0: single or in a batch, each answered by a method or by an error."""

from __future__ import annotations

import json
import logging
import math
import re
from typing import Any

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
MOST_DEPTH = 32
MOST_ANSWER_BYTES = 32 * 1024 * 1024
"""Of a batch, beyond which nothing more of it is answered."""
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL)
_NEEDS_WEBSOCKET = ("eth_subscribe", "eth_unsubscribe")


async def answer_body(body: bytes, methods: Methods) -> bytes:
    """Answer a body; what expects no answer (notifications) is answered by nothing at all."""
    if is_too_deep(body):
        return encoded(_failed(None, ParseError(f"the body is nested more than {MOST_DEPTH} deep")))
    try:
        asked = json.loads(body.decode())
    except (ValueError, RecursionError):
        return encoded(_failed(None, ParseError("the body isn't JSON")))
    if not isinstance(asked, list):
        answer = await _answer(asked, methods)
        return b"" if answer is None else encoded(answer)
    if not asked:
        return encoded(_failed(None, InvalidRequestError("an empty batch")))
    if len(asked) > MOST_IN_BATCH:
        return encoded(_failed(None, LimitError(f"a batch of {len(asked)}; at most {MOST_IN_BATCH} are taken at once")))
    # One after the other: what is sent first in a batch comes first.
    told: list[bytes] = []
    for each in asked:
        answer = await _answer(each, methods)
        told += [] if answer is None else [encoded(answer)]
        if sum(map(len, told)) > MOST_ANSWER_BYTES:
            return encoded(_failed(None, LimitError("the batch's answers are too long together; ask for less at once")))
    return b"[" + b",".join(told) + b"]" if told else b""


def is_too_deep(body: bytes) -> bool:
    """Tell whether a JSON text is nested deeper than any request is.

    Python's own limit is no protection: once a library has raised it, a parser runs out of stack and ends the process.
    """
    if body.count(b"[") + body.count(b"{") <= MOST_DEPTH:
        return False
    depth = 0
    for token in _TOKENS.finditer(body):
        mark = token.group()[:1]
        depth += 1 if mark in b"[{" else -1 if mark in b"]}" else 0
        if depth > MOST_DEPTH:
            return True
    return False


async def _answer(asked: object, methods: Methods) -> dict[str, object] | None:
    try:
        number, name, parameters = _read(asked)
    except InvalidRequestError as error:
        identifier = asked.get("id") if isinstance(asked, dict) else None
        return _failed(identifier if _is_identifier(identifier) else None, error)
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
    if number is not _NO_ANSWER and not _is_identifier(number):
        raise InvalidRequestError("id must be a string, a number or null")
    name = asked.get("method")
    if not isinstance(name, str):
        raise InvalidRequestError("method must be a string")
    parameters = asked.get("params")
    if parameters is not None and not isinstance(parameters, list):
        raise InvalidRequestError("params must be a list")
    return number, name, parameters or []


def _is_identifier(number: object) -> bool:
    if isinstance(number, float):
        return math.isfinite(number)
    return number is None or (isinstance(number, str | int) and not isinstance(number, bool))


async def _called(methods: Methods, name: str, parameters: list[object]) -> object:
    function = methods.get(name)
    if function is not None:
        return await function(Parameters(parameters))
    if name in _NEEDS_WEBSOCKET:
        raise UnknownMethodError(f"{name} needs a WebSocket connection: notifications aren't supported over HTTP")
    raise UnknownMethodError(f"the method {name[:60]} does not exist or is not available")


def _failed(number: object, error: RpcError) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "error": error.as_object()}


def encoded(answer: object) -> bytes:
    """Return an answer, or what a subscription tells, as it is sent."""
    return json.dumps(answer, separators=(",", ":")).encode()
