"""The tree over payouts and the bytes of attestations, apart from any contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from consilium_proto.errors import MalformedMessageError, TreeMismatchError, WireError
from consilium_proto.rewards.attestation import MAGIC, BridgeLocation, EpochRoot, decode_epoch, encode_epoch
from consilium_proto.rewards.decisions import (
    AddEndorser,
    Pause,
    RevokeEndorser,
    SetThreshold,
    VoidEpoch,
    encode_decision,
)
from consilium_proto.rewards.keccak import keccak256
from consilium_proto.rewards.payout_tree import Payout, check_payout, payout_leaf, payout_proof, payout_root

HERE = BridgeLocation("consilium", 31337, bytes(range(20)))
EPOCH = EpochRoot(7, 1000, bytes(range(32)), 3)


def payouts(count: int) -> list[Payout]:
    return [Payout(bytes([i + 1] * 20), 100 + i) for i in range(count)]


def test_keccak_is_ethereums() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 13, 64, 100])
def test_every_payout_has_a_proof_and_no_other_passes(count: int) -> None:
    listed = payouts(count)
    root = payout_root(listed)
    for index, payout in enumerate(listed):
        proof = payout_proof(listed, index)
        check_payout(root, index, payout, proof)
        with pytest.raises(TreeMismatchError):
            check_payout(root, index + 1, payout, proof)
        with pytest.raises(TreeMismatchError):
            check_payout(root, index, replace(payout, amount=payout.amount + 1), proof)


def test_an_inner_node_is_no_leaf() -> None:
    listed = payouts(4)
    inner = keccak256(b"".join(sorted(payout_leaf(i, listed[i]) for i in range(2))))
    assert payout_proof(listed, 2)[1] == inner
    assert inner not in {payout_leaf(i, payout) for i, payout in enumerate(listed)}


@pytest.mark.parametrize("payout", [Payout(bytes(19), 1), Payout(bytes(20), 0), Payout(bytes(20), 1 << 96)])
def test_malformed_payouts_are_refused(payout: Payout) -> None:
    with pytest.raises(WireError):
        payout_root([payout])


def test_a_tree_needs_payouts_and_a_proof_needs_one_of_them() -> None:
    with pytest.raises(WireError, match="without payouts"):
        payout_root([])
    for index in (-1, 2):
        with pytest.raises(WireError, match=f"no payout {index}"):
            payout_proof(payouts(2), index)


def test_an_attestation_has_the_documented_bytes() -> None:
    encoded = encode_epoch(HERE, EPOCH)
    parts = (8, 1, 32, 32, 20, 8, 12, 32, 4)
    fields, start = [], 0
    for size in parts:
        fields.append(encoded[start : start + size])
        start += size
    assert start == len(encoded) == 149
    assert fields == [
        MAGIC,
        b"\x01",
        keccak256(b"consilium"),
        (31337).to_bytes(32, "big"),
        HERE.address,
        (7).to_bytes(8, "big"),
        (1000).to_bytes(12, "big"),
        EPOCH.root,
        (3).to_bytes(4, "big"),
    ]
    assert decode_epoch(encoded, HERE) == EPOCH


def test_no_text_begins_as_an_attestation() -> None:
    with pytest.raises(UnicodeDecodeError):
        MAGIC[:1].decode()


@pytest.mark.parametrize(
    "elsewhere",
    [replace(HERE, channel="trial"), replace(HERE, chain_id=1), replace(HERE, address=bytes(20))],
    ids=["channel", "chain", "bridge"],
)
def test_an_attestation_for_elsewhere_is_refused(elsewhere: BridgeLocation) -> None:
    with pytest.raises(MalformedMessageError, match="isn't an attestation"):
        decode_epoch(encode_epoch(elsewhere, EPOCH), HERE)


def test_an_attestation_of_another_size_is_refused() -> None:
    for wrong in (b"", encode_epoch(HERE, EPOCH)[:-1], encode_epoch(HERE, EPOCH) + b"\0"):
        with pytest.raises(MalformedMessageError, match="149 bytes"):
            decode_epoch(wrong, HERE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: encode_epoch(replace(HERE, channel=""), EPOCH),
        lambda: encode_epoch(replace(HERE, chain_id=0), EPOCH),
        lambda: encode_epoch(replace(HERE, address=bytes(19)), EPOCH),
        lambda: encode_epoch(HERE, replace(EPOCH, number=0)),
        lambda: encode_epoch(HERE, replace(EPOCH, total=1 << 96)),
        lambda: encode_epoch(HERE, replace(EPOCH, root=bytes(31))),
        lambda: encode_epoch(HERE, replace(EPOCH, count=0)),
        lambda: encode_decision(HERE, 0, Pause()),
        lambda: encode_decision(HERE, 1, SetThreshold(0)),
        lambda: encode_decision(HERE, 1, RevokeEndorser(bytes(31))),
        lambda: encode_decision(HERE, 1, VoidEpoch(0, bytes(32))),
        lambda: encode_decision(HERE, 1, AddEndorser(1, 1, "", bytes(500))),
        lambda: encode_decision(HERE, 1, AddEndorser(1, 1, "OrgMSP", bytes(100))),
    ],
)
def test_what_a_bridge_would_refuse_isnt_encoded(make: Callable[[], bytes]) -> None:
    with pytest.raises(WireError):
        make()
