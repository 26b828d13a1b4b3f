"""The fields of signed transactions: what the server tells, signed again, is the same transaction."""

from __future__ import annotations

from typing import Any

import pytest
from ethereum_world import CHAIN_ID, key_of, signed

from consilium_peers.ethereum.rpc.raw_transactions import transaction_fields

ALICE, BOB = key_of(11), key_of(12)
TO = bytes([0xC0]) * 20
ACCESS = [{"address": "0x" + "11" * 20, "storageKeys": ["0x" + "00" * 31 + "05", "0x" + "ff" * 32]}]
DELEGATION = BOB.sign_authorization({"chainId": CHAIN_ID, "address": TO, "nonce": 3})
FORMS: list[dict[str, Any]] = [
    {},
    {"to": b""},
    {"type": 1, "accessList": ACCESS},
    {"type": 2, "accessList": ACCESS},
    {"type": 2, "accessList": []},
    {"type": 4, "accessList": [], "authorizationList": [DELEGATION]},
]


@pytest.mark.parametrize("form", FORMS)
def test_fields_that_are_signed_again_are_the_same_transaction(form: dict[str, Any]) -> None:
    raw = signed(ALICE, **{"to": TO, "nonce": 300, "data": b"\0\x01", "value": 10**20, **form})
    fields = transaction_fields(raw)
    assert fields["type"] == hex(form.get("type", 0))
    assert fields["to"] == ("0x" + TO.hex() if form.get("to", TO) else None)
    names = {"gasPrice"} if form.get("type", 0) < 2 else {"maxFeePerGas", "maxPriorityFeePerGas"}
    names |= {"nonce", "gas", "value", "chainId", "type", "accessList", "authorizationList"}
    again = {name: value for name, value in fields.items() if name in names}
    if not form.get("type"):
        del again["type"]
    again["to"], again["data"] = bytes.fromhex((fields["to"] or "0x")[2:]), fields["input"]
    made = ALICE.sign_transaction(again)
    assert bytes(made.raw_transaction) == raw
    assert [int(fields[name], 16) for name in ("v", "r", "s")] == [made.v, made.r, made.s]


def test_a_transaction_for_no_chain_names_none() -> None:
    """As before EIP-155: v is 27 or 28."""
    settings = {"to": TO, "nonce": 0, "gas": 21_000, "gasPrice": 0, "value": 0, "data": b""}
    fields = transaction_fields(bytes(ALICE.sign_transaction(settings).raw_transaction))
    assert int(fields["v"], 16) in (27, 28)
    assert "chainId" not in fields
