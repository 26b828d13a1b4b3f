"""Attestations: what a chaincode answers, peers endorse and the bridge on a public chain reads.

All attestations begin alike (sizes in bytes, numbers big-endian):

    magic 8 | kind 1 | keccak256 of the channel's name 32 | chain id 32 | bridge's address 20

The magic's first byte can't begin text, so no function that answers JSON or text returns an attestation by accident;
its last byte is the format's version. Channel, chain and bridge are named because an attestation is public: without
them it could be carried to another bridge. An epoch's attestation goes on with

    epoch 8 | total 12 | root 32 | number of payouts 4
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from consilium_proto.errors import MalformedMessageError, WireError
from consilium_proto.rewards.keccak import keccak256
from consilium_proto.rewards.payout_tree import ACCOUNT_SIZE, AMOUNT_BITS

MAGIC = b"\x89CONSIL\x01"
# The functions that may answer attestations; the bridge checks that it was one of them that was asked.
EPOCH_FUNCTION = "AttestEpoch"
DECISION_FUNCTION = "AttestDecision"

HASH_SIZE = 32
_HEADER = struct.Struct(">8sB32s32s20s")
_EPOCH = struct.Struct(">Q12s32sI")


class Kind(IntEnum):
    """What an attestation is about."""

    EPOCH = 1
    ADD_ENDORSER = 2
    REVOKE_ENDORSER = 3
    SET_THRESHOLD = 4
    PAUSE = 5
    RESUME = 6
    VOID_EPOCH = 7


@dataclass(frozen=True, slots=True)
class BridgeLocation:
    """The bridge an attestation is for: the channel it serves, the public chain's id, its address there (20 bytes)."""

    channel: str
    chain_id: int
    address: bytes


@dataclass(frozen=True, slots=True)
class EpochRoot:
    """A closed epoch: its number, the sum of its payouts, their tree's root (32 bytes) and how many they are."""

    number: int
    total: int
    root: bytes
    count: int


def encode_header(location: BridgeLocation, kind: Kind) -> bytes:
    """Return the 93 bytes that every attestation begins with.

    Raises:
        WireError: an empty channel, a chain id that isn't within 1 … 2^256 − 1, or an address that isn't 20 bytes.
    """
    if not location.channel:
        raise WireError("an attestation names a channel")
    if not 0 < location.chain_id < 1 << 256:
        raise WireError(f"{location.chain_id} isn't the id of a chain")
    if len(location.address) != ACCOUNT_SIZE:
        raise WireError(f"a bridge's address has {ACCOUNT_SIZE} bytes, not {len(location.address)}")
    chain = location.chain_id.to_bytes(32, "big")
    return _HEADER.pack(MAGIC, kind, keccak256(location.channel.encode()), chain, location.address)


def encode_epoch(location: BridgeLocation, epoch: EpochRoot) -> bytes:
    """Return the 149 bytes that attest an epoch.

    Raises:
        WireError: a number out of range, or a root that isn't 32 bytes.
    """
    if not 0 < epoch.number < 1 << 64:
        raise WireError(f"{epoch.number} isn't the number of an epoch")
    if not 0 < epoch.total < 1 << AMOUNT_BITS:
        raise WireError(f"a total of {epoch.total} isn't above 0 and of {AMOUNT_BITS} bits")
    if len(epoch.root) != HASH_SIZE:
        raise WireError(f"a root has {HASH_SIZE} bytes, not {len(epoch.root)}")
    if not 0 < epoch.count < 1 << 32:
        raise WireError(f"an epoch can't have {epoch.count} payouts")
    body = _EPOCH.pack(epoch.number, epoch.total.to_bytes(12, "big"), epoch.root, epoch.count)
    return encode_header(location, Kind.EPOCH) + body


def decode_epoch(answer: bytes, location: BridgeLocation) -> EpochRoot:
    """Read an epoch's attestation that is meant for the bridge at `location`.

    Raises:
        MalformedMessageError: it isn't one, or is for another channel, chain or bridge.
    """
    if len(answer) != _HEADER.size + _EPOCH.size:
        raise MalformedMessageError(
            f"an epoch's attestation has {_HEADER.size + _EPOCH.size} bytes, this answer has {len(answer)}"
        )
    if answer[: _HEADER.size] != encode_header(location, Kind.EPOCH):
        raise MalformedMessageError(
            f"the answer isn't an attestation of an epoch of {location.channel} for the bridge "
            f"0x{location.address.hex()} on chain {location.chain_id}"
        )
    number, total, root, count = _EPOCH.unpack(answer[_HEADER.size :])
    return EpochRoot(number, int.from_bytes(total, "big"), root, count)
