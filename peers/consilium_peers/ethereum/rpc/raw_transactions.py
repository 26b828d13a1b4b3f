"""The fields of a signed transaction, out of its bytes (EIP-2718, 2930, 1559, 7702), as JSON-RPC writes them.

Only transactions that the chaincode has found valid are read, so their form is known to be right.
"""

from __future__ import annotations

from typing import Any

import rlp

_FIRST_LIST_BYTE = 0xC0
_PROTECTED_V = 35
_ACCESS_LIST, _SET_CODE = 1, 4


def transaction_fields(raw: bytes) -> dict[str, Any]:
    """Return the fields that the sender chose, and the signature; `gasPrice` where the type has one."""
    if raw[0] >= _FIRST_LIST_BYTE:
        return _legacy(rlp.decode(raw))
    kind, (chain_id, nonce, *rest) = raw[0], rlp.decode(raw[1:])
    *fields, parity, r, s = rest
    written: dict[str, Any] = {
        "type": hex(kind),
        "chainId": _number(chain_id),
        "v": _number(parity),
        "yParity": _number(parity),
        "r": _number(r),
        "s": _number(s),
    }
    if kind == _SET_CODE:
        written["authorizationList"] = [_authorization(each) for each in fields.pop()]
    written["accessList"] = [_access(each) for each in fields.pop()]
    if kind == _ACCESS_LIST:
        price, *fields = fields
        written["gasPrice"] = _number(price)
    else:
        tip, most, *fields = fields
        written.update(maxPriorityFeePerGas=_number(tip), maxFeePerGas=_number(most), gasPrice=_number(most))
    return {**written, **_body(nonce, *fields)}


def _legacy(fields: list[Any]) -> dict[str, Any]:
    nonce, price, gas, to, value, data, v, r, s = fields
    written = {"type": "0x0", "gasPrice": _number(price), "v": _number(v), "r": _number(r), "s": _number(s)}
    number = int.from_bytes(v, "big")
    if number >= _PROTECTED_V:
        written["chainId"] = hex((number - _PROTECTED_V) // 2)
    return {**written, **_body(nonce, gas, to, value, data)}


def _body(nonce: bytes, gas: bytes, to: bytes, value: bytes, data: bytes) -> dict[str, Any]:
    return {
        "nonce": _number(nonce),
        "gas": _number(gas),
        "to": _bytes(to) if to else None,
        "value": _number(value),
        "input": _bytes(data),
    }


def _access(entry: list[Any]) -> dict[str, Any]:
    address, slots = entry
    return {"address": _bytes(address), "storageKeys": [_bytes(each) for each in slots]}


def _authorization(fields: list[Any]) -> dict[str, str]:
    chain_id, address, nonce, parity, r, s = fields
    return {
        "chainId": _number(chain_id),
        "address": _bytes(address),
        "nonce": _number(nonce),
        "yParity": _number(parity),
        "r": _number(r),
        "s": _number(s),
    }


def _number(item: bytes) -> str:
    return hex(int.from_bytes(item, "big"))


def _bytes(item: bytes) -> str:
    return "0x" + item.hex()
