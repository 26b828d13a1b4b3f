"""Endorsement policies of single keys: which organisations must endorse a change of the key.

When a transaction changes a key whose policy can't be evaluated, all peers of the channel stop committing, for good.
So a policy is checked before it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from google.protobuf.message import DecodeError

from consilium_chaincode.shim.errors import ChaincodeError

_DEEPEST = 16


def quorum_of(count: int, msp_ids: Sequence[str]) -> bytes:
    """Return the policy that peers of at least `count` of the organisations endorse.

    Raises:
        ChaincodeError: the count isn't between 1 and the number of organisations.
    """
    if not 1 <= count <= len(msp_ids):
        raise ChaincodeError(f"{count} of {len(msp_ids)} organisations can't endorse")
    rules = [policies_pb2.SignaturePolicy(signed_by=number) for number in range(len(msp_ids))]
    envelope = policies_pb2.SignaturePolicyEnvelope(
        rule=policies_pb2.SignaturePolicy(n_out_of=policies_pb2.SignaturePolicy.NOutOf(n=count, rules=rules)),
        identities=[_peer_of(msp_id) for msp_id in msp_ids],
    )
    return bytes(envelope.SerializeToString(deterministic=True))


def check_policy(policy: bytes) -> None:
    """Refuse what peers can't evaluate, and what nobody could ever satisfy.

    Raises:
        ChaincodeError: it isn't a `SignaturePolicyEnvelope`, or its rule doesn't fit its identities.
    """
    try:
        envelope = policies_pb2.SignaturePolicyEnvelope.FromString(policy)
    except DecodeError:
        raise ChaincodeError("the key's endorsement policy isn't a SignaturePolicyEnvelope") from None
    if envelope.version != 0 or not envelope.identities or not _fits(envelope.rule, len(envelope.identities)):
        raise ChaincodeError("the key's endorsement policy can't be evaluated: its rule doesn't fit its identities")


def _peer_of(msp_id: str) -> Any:
    role = msp_principal_pb2.MSPRole(msp_identifier=msp_id, role=msp_principal_pb2.MSPRole.PEER)
    return msp_principal_pb2.MSPPrincipal(
        principal_classification=msp_principal_pb2.MSPPrincipal.ROLE, principal=role.SerializeToString()
    )


def _fits(rule: Any, identities: int, depth: int = 0) -> bool:
    kind = rule.WhichOneof("Type")
    if kind == "signed_by":
        return bool(0 <= rule.signed_by < identities)
    if kind != "n_out_of" or depth >= _DEEPEST:
        return False
    inner = rule.n_out_of
    return bool(1 <= inner.n <= len(inner.rules)) and all(_fits(each, identities, depth + 1) for each in inner.rules)
