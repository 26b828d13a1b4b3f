"""From a prepared Fabric transaction to the arguments of the bridge's `submitEpoch` and `carryOut`.

A read-only answer is endorsed like any transaction (the Gateway's Endorse) and then not ordered: the endorsements alone
are the proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from google.protobuf.message import DecodeError

from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.errors import BridgeProofError
from consilium_proto.rewards.attestation import MAGIC


@dataclass(frozen=True, slots=True)
class Endorsement:
    """One peer's signature (DER) over an answer."""

    endorser: EndorserKey
    signature: bytes


@dataclass(frozen=True, slots=True)
class BridgeArguments:
    """The tuple `Endorsed` of the bridge's contract, in the order of its fields."""

    payload: bytes
    channel_header: bytes
    signature_header: bytes
    proposal_payload: bytes
    signatures: bytes

    def as_tuple(self) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        """Return the fields as clients of Ethereum pass a tuple."""
        return (self.payload, self.channel_header, self.signature_header, self.proposal_payload, self.signatures)


@dataclass(frozen=True, slots=True)
class EndorsedAnswer:
    """A chaincode's answer as bytes of protocol buffers: what was asked, what was answered, who endorsed it."""

    channel_header: bytes
    signature_header: bytes
    proposal_payload: bytes
    payload: bytes
    endorsements: tuple[Endorsement, ...]

    @classmethod
    def of_prepared(cls, envelope: Any) -> EndorsedAnswer:
        """Read the envelope that the Gateway's Endorse gives.

        Raises:
            BridgeProofError: it isn't a transaction with one endorsed answer, or an endorsement isn't good.
        """
        try:
            payload = common_pb2.Payload.FromString(envelope.payload)
            actions = transaction_pb2.Transaction.FromString(payload.data).actions
            if len(actions) != 1:
                raise BridgeProofError(f"a transaction to be attested has one action, this one has {len(actions)}")
            proposed = transaction_pb2.ChaincodeActionPayload.FromString(actions[0].payload)
        except DecodeError as error:
            raise BridgeProofError(f"the endorsed transaction can't be read: {error}") from None
        answered = proposed.action.proposal_response_payload
        endorsements = tuple(
            Endorsement(EndorserKey.read(each.endorser), each.signature) for each in proposed.action.endorsements
        )
        read = cls(
            channel_header=payload.header.channel_header,
            signature_header=payload.header.signature_header,
            proposal_payload=proposed.chaincode_proposal_payload,
            payload=answered,
            endorsements=endorsements,
        )
        read.check_signatures()
        return read

    def check_signatures(self) -> None:
        """Check every endorsement.

        Raises:
            BridgeProofError: one isn't a signature over this answer.
        """
        for each in self.endorsements:
            if not each.endorser.signed(self.payload, each.signature):
                raise BridgeProofError(f"the endorsement of {each.endorser.msp_id} isn't a signature over this answer")

    @property
    def answer(self) -> bytes:
        """The bytes that the chaincode returned.

        Raises:
            BridgeProofError: they can't be read.
        """
        try:
            read = proposal_response_pb2.ProposalResponsePayload.FromString(self.payload)
            return bytes(proposal_pb2.ChaincodeAction.FromString(read.extension).response.payload)
        except DecodeError as error:
            raise BridgeProofError(f"the endorsed answer can't be read: {error}") from None

    @property
    def organizations(self) -> tuple[str, ...]:
        """The MSP ids of the organisations whose peers endorsed, each once, sorted."""
        return tuple(sorted({each.endorser.msp_id for each in self.endorsements}))

    @property
    def function(self) -> str:
        """The function of the chaincode that was asked; the bridge looks at it too.

        Raises:
            BridgeProofError: it can't be read.
        """
        try:
            proposed = proposal_pb2.ChaincodeProposalPayload.FromString(self.proposal_payload)
            invoked = chaincode_pb2.ChaincodeInvocationSpec.FromString(proposed.input)
        except DecodeError as error:
            raise BridgeProofError(f"the proposal can't be read: {error}") from None
        arguments = invoked.chaincode_spec.input.args
        return str(arguments[0], "utf-8", "replace") if arguments else ""

    def arguments(self, numbers: Mapping[bytes, int], threshold: int) -> BridgeArguments:
        """Return the bridge's arguments, with one endorsement of each organisation whose endorser the bridge knows.

        Only as many as the threshold are taken: each costs 15,000 gas and none more convinces better.

        Args:
            numbers: the bridge's number of each endorser that counts, by its `identity_hash`.
            threshold: how many organisations the bridge wants.

        Raises:
            BridgeProofError: the answer isn't an attestation, or too few organisations endorsed it.
        """
        if not self.answer.startswith(MAGIC):
            raise BridgeProofError(f"{self.function or 'the function'} didn't answer an attestation of this version")
        chosen: dict[str, Endorsement] = {}
        for each in self.endorsements:
            if each.endorser.identity_hash in numbers:
                chosen.setdefault(each.endorser.msp_id, each)
        if len(chosen) < threshold:
            endorsed = ", ".join(self.organizations) or "nobody"
            raise BridgeProofError(
                f"the bridge wants endorsements of {threshold} organisations and counts {len(chosen)} of {endorsed}; "
                "ask further peers, or have endorsers added to the bridge"
            )
        signatures = (
            _packed(numbers[each.endorser.identity_hash], each.signature) for each in list(chosen.values())[:threshold]
        )
        return BridgeArguments(
            self.payload, self.channel_header, self.signature_header, self.proposal_payload, b"".join(signatures)
        )


def _packed(number: int, signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return number.to_bytes(2, "big") + r.to_bytes(32, "big") + s.to_bytes(32, "big")
