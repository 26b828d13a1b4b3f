"""What k of n organisations may decide about their bridge, in the form in which they attest it.

After the common beginning of attestations come the decision's number (8 bytes) and its content. The bridge carries
decisions out in the order of their numbers, each once, so none can be replayed or left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from consilium_proto.errors import WireError
from consilium_proto.rewards.attestation import HASH_SIZE, BridgeLocation, Kind, encode_header

# As the bridge writes a SerializedIdentity: one byte of length for the MSP id, two for the certificate.
_MAX_MSP_ID = 127
_CERTIFICATE_SIZES = range(128, 4097)


@dataclass(frozen=True, slots=True)
class AddEndorser:
    """A peer whose endorsements count from now on: its P-256 public key, MSP id and certificate (PEM, as it signs)."""

    kind: ClassVar[Kind] = Kind.ADD_ENDORSER
    qx: int
    qy: int
    msp_id: str
    certificate: bytes

    def content(self) -> bytes:
        """Return qx 32 | qy 32 | length of the MSP id 1 | MSP id | certificate.

        Raises:
            WireError: MSP id or certificate is empty or too long.
        """
        msp_id = self.msp_id.encode()
        if not 0 < len(msp_id) <= _MAX_MSP_ID:
            raise WireError(f"the bridge takes MSP ids of 1 to {_MAX_MSP_ID} bytes, not {len(msp_id)}")
        if len(self.certificate) not in _CERTIFICATE_SIZES:
            raise WireError(
                f"the bridge takes certificates of {_CERTIFICATE_SIZES.start} to {_CERTIFICATE_SIZES.stop - 1} bytes, "
                f"not {len(self.certificate)}"
            )
        key = self.qx.to_bytes(32, "big") + self.qy.to_bytes(32, "big")
        return key + bytes([len(msp_id)]) + msp_id + self.certificate


@dataclass(frozen=True, slots=True)
class RevokeEndorser:
    """A peer whose endorsements never count again, by keccak256 of its SerializedIdentity."""

    kind: ClassVar[Kind] = Kind.REVOKE_ENDORSER
    identity_hash: bytes

    def content(self) -> bytes:
        """Return the hash."""
        return _hash(self.identity_hash)


@dataclass(frozen=True, slots=True)
class SetThreshold:
    """How many organisations must endorse from now on."""

    kind: ClassVar[Kind] = Kind.SET_THRESHOLD
    threshold: int

    def content(self) -> bytes:
        """Return the number in 2 bytes."""
        if not 0 < self.threshold < 1 << 16:
            raise WireError(f"{self.threshold} organisations can't be a threshold")
        return self.threshold.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Pause:
    """Neither epochs nor claims until `Resume`."""

    kind: ClassVar[Kind] = Kind.PAUSE

    def content(self) -> bytes:
        """Return nothing: the kind says it all."""
        return b""


@dataclass(frozen=True, slots=True)
class Resume:
    """Epochs and claims again."""

    kind: ClassVar[Kind] = Kind.RESUME

    def content(self) -> bytes:
        """Return nothing: the kind says it all."""
        return b""


@dataclass(frozen=True, slots=True)
class VoidEpoch:
    """An epoch's root that is never paid (again), whether it was brought already or not."""

    kind: ClassVar[Kind] = Kind.VOID_EPOCH
    number: int
    root: bytes

    def content(self) -> bytes:
        """Return epoch 8 | root 32."""
        if not 0 < self.number < 1 << 64:
            raise WireError(f"{self.number} isn't the number of an epoch")
        return self.number.to_bytes(8, "big") + _hash(self.root)


Decision = AddEndorser | RevokeEndorser | SetThreshold | Pause | Resume | VoidEpoch


def encode_decision(location: BridgeLocation, number: int, decision: Decision) -> bytes:
    """Return the bytes that attest the decision of this number (from 1) about the bridge at `location`.

    Raises:
        WireError: a part that can't be attested.
    """
    if not 0 < number < 1 << 64:
        raise WireError(f"{number} isn't the number of a decision")
    return encode_header(location, decision.kind) + number.to_bytes(8, "big") + decision.content()


def _hash(value: bytes) -> bytes:
    if len(value) != HASH_SIZE:
        raise WireError(f"a hash has {HASH_SIZE} bytes, not {len(value)}")
    return value
