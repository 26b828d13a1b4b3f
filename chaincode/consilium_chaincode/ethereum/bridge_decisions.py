"""Decisions about the bridge: those that it couldn't carry out are refused here.

The bridge carries decisions out in the order of their numbers, so that one on which it reverts would block all that
follow, for good. What the bridge was deployed with isn't known here: an endorser that it never had can be revoked, and
one that it was deployed with can be added; whoever approves has to look.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.msp import identities_pb2

from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.federation.errors import Refused
from consilium_proto.errors import WireError
from consilium_proto.ethereum.resolutions import (
    BridgeAction,
    EndorserAddition,
    EndorserRevocation,
    Pausing,
    Resumption,
    ThresholdChange,
)
from consilium_proto.ethereum.scalars import as_data, from_data
from consilium_proto.refusals import RefusalCode
from consilium_proto.rewards.decisions import AddEndorser

A = TypeVar("A")


def check_action(action: BridgeAction, earlier: Sequence[BridgeAction], hospitals: Collection[str]) -> None:
    """Refuse what the bridge couldn't carry out after the `earlier` actions.

    Raises:
        Refused: MALFORMED for an endorser's certificate that the bridge can't read; UNSAFE_TERMS for an endorser that
            no hospital runs, one that was added or revoked before, a threshold of more than all hospitals, a pause in a
            pause, or a resumption without one.
    """
    if isinstance(action, EndorserAddition):
        _check_addition(action, _all(EndorserAddition, earlier), hospitals)
    elif isinstance(action, EndorserRevocation):
        if action.identity in {each.identity for each in _all(EndorserRevocation, earlier)}:
            raise _unsafe(f"endorser {action.identity} was revoked already")
    elif isinstance(action, ThresholdChange):
        if action.threshold > len(hospitals):
            raise _unsafe(f"{action.threshold} organisations can't endorse; there are {len(hospitals)} hospitals")
    elif isinstance(action, Pausing | Resumption) and _paused(earlier) == isinstance(action, Pausing):
        raise _unsafe(f"the bridge {'is paused already' if _paused(earlier) else 'is not paused'}")


def registration(addition: EndorserAddition) -> AddEndorser:
    """Return what the bridge is told of an endorser, its key taken from its certificate.

    Raises:
        Refused: MALFORMED; not one certificate in PEM as peers sign with, its key isn't P-256, or it is too long.
    """
    certificate = from_data(addition.certificate)
    numbers = _key(certificate).public_numbers()
    told = AddEndorser(numbers.x, numbers.y, addition.msp_id, certificate)
    try:
        told.content()
    except WireError as error:
        raise Refused(RefusalCode.MALFORMED, str(error)) from None
    return told


def identity_hash(addition: EndorserAddition) -> str:
    """Return what the bridge knows the endorser by: keccak256 of its SerializedIdentity."""
    identity = identities_pb2.SerializedIdentity(mspid=addition.msp_id, id_bytes=from_data(addition.certificate))
    return as_data(keccak256(identity.SerializeToString(deterministic=True)))


def _check_addition(
    addition: EndorserAddition, earlier: Sequence[EndorserAddition], hospitals: Collection[str]
) -> None:
    if addition.msp_id not in hospitals:
        raise _unsafe(f"{addition.msp_id} is no hospital of the consortium, so no peer of it endorses attestations")
    registration(addition)
    if identity_hash(addition) in {identity_hash(each) for each in earlier}:
        raise _unsafe(f"endorser {identity_hash(addition)} was added already; a revoked one doesn't come back")


def _key(certificate: bytes) -> ec.EllipticCurvePublicKey:
    try:
        read = x509.load_pem_x509_certificate(certificate)
        key = read.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused(RefusalCode.MALFORMED, f"the endorser's certificate can't be read as PEM: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused(RefusalCode.MALFORMED, "the endorser's key isn't P-256, the only curve that the bridge verifies")
    if read.public_bytes(Encoding.PEM) != certificate:
        raise Refused(
            RefusalCode.MALFORMED,
            "the endorser's certificate isn't written as peers sign it: one PEM block with lines of 64 characters, "
            "nothing before or after it",
        )
    return key


def _paused(earlier: Sequence[BridgeAction]) -> bool:
    last = next((each for each in reversed(earlier) if isinstance(each, Pausing | Resumption)), None)
    return isinstance(last, Pausing)


def _all(kind: type[A], actions: Sequence[BridgeAction]) -> list[A]:
    return [each for each in actions if isinstance(each, kind)]


def _unsafe(explanation: str) -> Refused:
    return Refused(RefusalCode.UNSAFE_TERMS, explanation)
