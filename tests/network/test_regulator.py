"""The regulator on the real network: it reads through a peer of its own, writes nothing, and its word doesn't count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import proposal_response_pb2, transaction_pb2
from patience import persistently

from consilium_network.certificates import Authority, OrganizationalUnit
from consilium_network.layout import KeyPair
from consilium_network.network import Network
from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_peers.gateway import Contract, Gateway, Transaction
from consilium_peers.identity import Identity
from consilium_peers.profile import KeyPairFiles, Profile
from consilium_proto import canonical
from consilium_proto.records import HospitalKey
from consilium_proto.refusals import RefusalCode

pytestmark = pytest.mark.network

# A valid X25519 public key: the base point's u-coordinate, 9 (RFC 7748).
KEY = HospitalKey(wrapping_key="09" + "00" * 31)
TWO, THREE = ["ClevelandMSP", "HungaryMSP"], ["ClevelandMSP", "HungaryMSP", "LongBeachMSP"]


@asynccontextmanager
async def contract_of(profile: Profile) -> AsyncIterator[Contract]:
    async with Gateway.connect(profile) as gateway:
        yield gateway.network().contract()


async def refusal(network: Network, organization: str, user: str) -> RefusalCode | None:
    """Return the contract's refusal of a registration by this user."""
    async with contract_of(Profile.load(network.profile(organization, user))) as contract:
        with pytest.raises(GatewayError) as caught:
            await Federation(contract).register_hospital_key(KEY)
    assert caught.value.of_contract, "it is the contract that refuses"
    return caught.value.refusal


@pytest.mark.parametrize(
    ("organization", "user"),
    [
        ("regulator", "auditor"),
        ("regulator", "compliance"),
        ("regulator", "admin"),
        ("hungary", "auditor"),
        ("hungary", "compliance"),
    ],
)
async def test_who_reads_by_role_is_refused_by_the_contract(network: Network, organization: str, user: str) -> None:
    assert await refusal(network, organization, user) is RefusalCode.FORBIDDEN


async def test_a_certificate_without_a_role_reads_nothing_of_the_hospitals(network: Network, tmp_path: Path) -> None:
    """The same authority, the same unit: what is missing is the attribute."""
    async with contract_of(Profile.load(network.profile("hungary"))) as contract:
        await Federation(contract).register_hospital_key(KEY)
    profile = Profile.load(network.profile("regulator", "auditor"))
    authority = Authority.load(network.folder.organization("regulator").authority)
    pair = KeyPair.within(tmp_path)
    authority.identity("nobody.regulator", OrganizationalUnit.CLIENT, 1).save(pair)
    async with contract_of(profile) as contract:
        await persistently(lambda: Federation(contract).read_hospital_key("HungaryMSP"))
        assert await Federation(contract).read_hospital_key("HungaryMSP") == KEY
    nobody = replace(profile, identity=KeyPairFiles(pair.certificate, pair.private_key))
    async with contract_of(nobody) as contract:
        with pytest.raises(GatewayError) as caught:
            await Federation(contract).read_hospital_key("HungaryMSP")
    assert caught.value.refusal is RefusalCode.FORBIDDEN


@pytest.mark.parametrize(("hospitals", "outcome"), [(TWO, "ENDORSEMENT_POLICY_FAILURE"), (THREE, "VALID")])
async def test_the_regulators_endorsement_does_not_count(network: Network, hospitals: list[str], outcome: str) -> None:
    """Its peer's own signature over the very answer of the hospitals fills no gap, and does no harm."""
    peer = network.folder.organization("regulator").node("peer").identity
    regulator = Identity.load("RegulatorMSP", peer.certificate, peer.private_key)
    async with contract_of(Profile.load(network.profile("cleveland"))) as contract:
        proposal = contract.propose("RegisterHospitalKey", canonical.encode(KEY), endorsing_organizations=hospitals)
        endorsed = await proposal.endorse()
        also = also_endorsed(endorsed, regulator)
        assert also.result.endorsers[-1] == "RegulatorMSP"
        commit = await also.submit()
        assert (await commit.status()).code == outcome


def also_endorsed(transaction: Transaction, endorser: Identity) -> Transaction:
    """Return the transaction with one more endorsement, signed anew by its creator."""
    payload = common_pb2.Payload.FromString(transaction.envelope.payload)
    inner = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(inner.actions[0].payload)
    answer = action.action.proposal_response_payload
    signature = endorser.sign(answer + endorser.serialized)
    action.action.endorsements.append(
        proposal_response_pb2.Endorsement(endorser=endorser.serialized, signature=signature)
    )
    inner.actions[0].payload = action.SerializeToString()
    payload.data = inner.SerializeToString()
    raw = payload.SerializeToString()
    return replace(transaction, envelope=common_pb2.Envelope(payload=raw, signature=transaction.identity.sign(raw)))
