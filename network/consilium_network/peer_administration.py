"""Asking one peer for something as its own organisation's admin: joining a channel, installing chaincode.

Such requests belong to no channel and aren't ordered, so they go straight to the peer's endorser service.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator

import grpc
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, peer_pb2_grpc, proposal_pb2

from consilium_network.errors import CertificateError, NetworkError
from consilium_network.layout import OrganizationFolder
from consilium_network.topology import Listener, Organization

_TIMEOUT_SECONDS = 60.0
_OK = 200
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class PeerAdministration:
    """A connection to one peer, as its organisation's admin."""

    def __init__(self, organization: Organization, own: OrganizationFolder, channel: grpc.aio.Channel) -> None:
        self._organization = organization
        self._channel = channel
        identity = own.user("admin").identity
        key = serialization.load_pem_private_key(identity.private_key.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertificateError(f"{identity.private_key} is no elliptic-curve key")
        self._key = key
        self._creator = identities_pb2.SerializedIdentity(
            mspid=organization.msp_id, id_bytes=identity.certificate.read_bytes()
        ).SerializeToString()

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, organization: Organization, own: OrganizationFolder) -> AsyncIterator[PeerAdministration]:
        """Connect to the organisation's peer."""
        tls = own.user("admin").tls
        credentials = grpc.ssl_channel_credentials(
            own.tls_root.read_bytes(), tls.private_key.read_bytes(), tls.certificate.read_bytes()
        )
        options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 100 << 20)]
        async with grpc.aio.secure_channel(organization.address(Listener.PEER), credentials, options) as channel:
            yield cls(organization, own, channel)

    async def call(self, chaincode: str, function: str, argument: bytes, *, error: type[NetworkError]) -> bytes:
        """Call a system chaincode and return its payload.

        Raises:
            error: the peer doesn't answer within a minute, or refuses. The message has the peer's words.
        """
        stub = peer_pb2_grpc.EndorserStub(self._channel)
        name = self._organization.name
        try:
            answer = await stub.ProcessProposal(
                self._proposal(chaincode, function, argument), timeout=_TIMEOUT_SECONDS, wait_for_ready=True
            )
        except grpc.aio.AioRpcError as failure:
            raise error(f"the peer of {name} does not do {function}: {failure.details()}") from None
        if answer.response.status != _OK:
            raise error(f"the peer of {name} refuses {function}: {answer.response.message}")
        return bytes(answer.response.payload)

    def _proposal(self, chaincode: str, function: str, argument: bytes) -> proposal_pb2.SignedProposal:
        nonce = os.urandom(24)
        called = chaincode_pb2.ChaincodeID(name=chaincode)
        header = common_pb2.ChannelHeader(
            type=common_pb2.ENDORSER_TRANSACTION,
            tx_id=hashlib.sha256(nonce + self._creator).hexdigest(),
            extension=proposal_pb2.ChaincodeHeaderExtension(chaincode_id=called).SerializeToString(),
        )
        header.timestamp.GetCurrentTime()
        author = common_pb2.SignatureHeader(creator=self._creator, nonce=nonce)
        invocation = chaincode_pb2.ChaincodeInvocationSpec(
            chaincode_spec=chaincode_pb2.ChaincodeSpec(
                type=chaincode_pb2.ChaincodeSpec.GOLANG,
                chaincode_id=called,
                input=chaincode_pb2.ChaincodeInput(args=[function.encode(), argument]),
            )
        )
        proposal = proposal_pb2.Proposal(
            header=common_pb2.Header(
                channel_header=header.SerializeToString(), signature_header=author.SerializeToString()
            ).SerializeToString(),
            payload=proposal_pb2.ChaincodeProposalPayload(input=invocation.SerializeToString()).SerializeToString(),
        ).SerializeToString()
        return proposal_pb2.SignedProposal(proposal_bytes=proposal, signature=self._sign(proposal))

    def _sign(self, message: bytes) -> bytes:
        """Sign with S in the lower half of the order, the only form that Fabric accepts."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return encode_dss_signature(r, min(s, _ORDER - s))
