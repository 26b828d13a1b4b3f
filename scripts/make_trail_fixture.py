"""Make the trail that the tests keep: a short study on a real network, exported by two of its hospitals.

    python scripts/make_trail_fixture.py tests/peers/trail/format-1

It has what a verifier must follow: privacy accounts, a dispute that bars a liar, two transactions that conflict, and a
change of the channel's configuration (a certificate is revoked) in between.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import ab_pb2_grpc

from consilium_bench.ledger_round import SET, Vectors, connected
from consilium_bench.parties import ActiveStudy, Party, begin_study, persistently
from consilium_bench.played_round import PUBLICATION, PlayedRound
from consilium_network.certificates import Authority, OrganizationalUnit
from consilium_network.network import Network
from consilium_network.topology import Listener, Organization, packaged_topology
from consilium_peers.connection import open_channel
from consilium_peers.errors import GatewayError
from consilium_peers.gateway import Gateway
from consilium_peers.identity import Identity
from consilium_peers.profile import Endpoint, KeyPairFiles, Profile
from consilium_proto.chunk_tree import inclusion_proof
from consilium_proto.fingerprint import to_record
from consilium_proto.rdp import GaussianSteps, epsilon_micro
from consilium_proto.records import Disproof, Listing, PrivacyEntry, PrivacyTerms, ProvedChunk, RoundPhase
from consilium_trail.archive.writing import write_trail
from consilium_trail.blocks.block import Block, decode_block
from consilium_trail.blocks.configuration import decode_configuration
from consilium_trail.blocks.transactions import decode_envelope

FIRST_PORT = 18_200
EXPORTERS = ("cleveland", "hungary")
PRIVACY = PrivacyTerms(
    noise_multiplier_milli=1100,
    clip_milli=1000,
    delta_numerator=1,
    delta_denominator=1000,
    epsilon_budget_micro=5_000_000,
)
STEPS = 10


Play = Callable[[Network], Awaitable[str]]
"""Plays a study on a network; returns its name."""


async def make(target: Path, play: Play, exporters: Sequence[str] = EXPORTERS, *, evm: bool = False) -> None:
    """Play a study on a fresh network, and write the exports of some hospitals and the roots to `target`."""
    topology = msgspec.structs.replace(packaged_topology(4), block_interval_ms=100).with_ports_from(FIRST_PORT)
    with tempfile.TemporaryDirectory(prefix="trail-fixture-") as folder:
        network = Network(Path(folder) / "network", topology)
        try:
            await network.up(print, evm=evm)
            study = await play(network)
            chains = {name: await _blocks(network, name) for name in exporters}
        finally:
            await network.stop()
        await asyncio.to_thread(_write, target, network, study, chains)


def _write(target: Path, network: Network, study: str, chains: dict[str, list[Block]]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, chain in chains.items():
        write_trail(target / f"{name}.zip", chain, network.topology.channel, study, _identity(network, name))
    (target / "roots.pem").write_bytes(_roots(network, next(iter(chains.values()))[0]))


async def play_disputed_study(network: Network) -> str:
    """Play two rounds, a conflict, a dispute and a change of the configuration."""
    async with connected(network) as parties:
        study = await begin_study(network.topology.channel, parties, SET, SET.values_per_chunk, 2, PRIVACY)
        await _honest_round(study)
        await _revoke_a_certificate(network, network.topology.hospitals[0])
        await _disputed_round(study)
        return study.name


async def _honest_round(study: ActiveStudy) -> None:
    vectors = Vectors(study)
    played = PlayedRound(study, 1, vectors.digests, _entries(study, 1))
    await played.open()
    await asyncio.gather(*(persistently(lambda party=party: played.join_one(party)) for party in study.hospitals))  # type: ignore[misc]
    await _advance_twice(study)
    await played.view(lambda view: view.round.phase is RoundPhase.SEALED)
    await played.anchor()
    await played.hold_and_publish()
    await played.reveal()
    await played.fingerprint(vectors.values(await played.challenge()), RoundPhase.VERIFIED)
    await played.attest()


async def _advance_twice(study: ActiveStudy) -> None:
    """Let two hospitals move the round on at once: one transaction reads what the other writes, and is invalid."""

    async def advance(party: Party) -> None:
        with contextlib.suppress(GatewayError):
            await party.client.advance(study.name, 1)

    await asyncio.sleep(1.0)
    await asyncio.gather(*(advance(party) for party in study.hospitals[:2]))


async def _disputed_round(study: ActiveStudy) -> None:
    """Play a round in which the first hospital writes a false fingerprint of its own vector, and is disproved."""
    vectors = Vectors(study)
    played = PlayedRound(study, 2, vectors.digests, _entries(study, 2))
    liar = study.hospitals[0].organization
    await played.open()
    await played.join()
    await played.anchor()
    await played.hold_and_publish()
    await played.reveal()
    values = vectors.values(await played.challenge())
    (witness,) = (party for party in study.hospitals if liar in played.witnessed(party.organization))
    true = values[witness.organization, liar]
    values[liar, liar] = (true[0] + 1) % SET.modulus, true[1]
    await played.fingerprint(values, RoundPhase.LISTING)
    for party in (study.hospitals[0], witness):
        value = to_record(values[party.organization, liar])
        listing = Listing(study=study.name, round=2, publication=PUBLICATION, vector=liar, values=(value,))
        await persistently(lambda party=party, listing=listing: party.client.list_values(listing))  # type: ignore[misc]
    await played.advance(RoundPhase.PROVING)
    proof = inclusion_proof(played.context(liar), vectors.digests[liar], 0)
    content = vectors.chunks[liar]
    chunk = ProvedChunk(index=0, content=content.hex(), path=tuple(each.hex() for each in proof.path))
    disproof = Disproof(study=study.name, round=2, publication=PUBLICATION, vector=liar, author=liar, chunk=chunk)
    await persistently(lambda: witness.client.disprove(disproof))
    await played.advance(RoundPhase.VERIFIED)
    await played.attest()


def _entries(study: ActiveStudy, number: int) -> dict[str, PrivacyEntry]:
    spent = [epsilon_micro([GaussianSteps(1, 10, 1100, STEPS * count)], 1, 1000) if count else 0 for count in (0, 1, 2)]
    return {
        name: PrivacyEntry(
            data_set=f"{position:064x}",
            sample_rate_numerator=1,
            sample_rate_denominator=10,
            noise_multiplier_milli=1100,
            clip_milli=1000,
            steps=STEPS,
            delta_numerator=1,
            delta_denominator=1000,
            epsilon_before_micro=spent[number - 1],
            epsilon_after_micro=spent[number],
        )
        for position, name in enumerate(study.participants, start=1)
    }


async def _blocks(network: Network, name: str) -> list[Block]:
    """Return all blocks as one hospital's own peer has them; wait until it has the study's end."""
    await asyncio.sleep(2.0)
    async with Gateway.connect(Profile.load(network.profile(name))) as gateway:
        return [block async for block in _fetched(gateway, network.topology.channel)]


async def _fetched(gateway: Gateway, channel: str) -> Any:
    system, own = gateway.network().contract("qscc"), [gateway.profile.organization]
    for number in range(10_000):
        try:
            raw = await system.evaluate("GetBlockByNumber", channel.encode(), str(number).encode(), organizations=own)
        except GatewayError:
            return
        yield decode_block(raw)


async def _revoke_a_certificate(network: Network, organization: Organization) -> None:
    """Put a revocation list into an organisation's membership, by an update of the channel's configuration."""
    admin = _identity(network, organization.name, "admin")
    async with Gateway.connect(Profile.load(network.profile(organization.name, "admin"))) as gateway:
        system, own = gateway.network().contract("qscc"), [gateway.profile.organization]
        raw = await system.evaluate("GetBlockByNumber", network.topology.channel.encode(), b"0", organizations=own)
    tree = decode_configuration(decode_envelope(decode_block(raw).envelopes[0]).data).tree
    update = configtx_pb2.ConfigUpdate(channel_id=network.topology.channel)
    revocations = _revocations(network, organization)
    for kind in ("Application", "Orderer"):
        path = ("Channel", kind, organization.msp_id)
        _copy_versions(tree, update.read_set, path)
        changed = _copy_versions(tree, update.write_set, path)
        held = tree.groups[kind].groups[organization.msp_id].values["MSP"]
        value = changed.values["MSP"]
        value.CopyFrom(held)
        value.version = held.version + 1
        value.value = _with_revocations(bytes(held.value), revocations)
    envelope = _signed_update(update.SerializeToString(), network.topology.channel, admin)
    await _broadcast(network, organization, envelope)


def _copy_versions(tree: Any, into: Any, path: tuple[str, ...]) -> Any:
    into.version = tree.version
    for name in path[1:]:
        tree, into = tree.groups[name], into.groups[name]
        into.version = tree.version
    return into


def _revocations(network: Network, organization: Organization) -> bytes:
    """Return a list that revokes a client's certificate which was issued for nothing else."""
    authority = Authority.load(network.folder.organization(organization.name).authority)
    lost = authority.identity("lost", OrganizationalUnit.CLIENT, 30).certificate
    now = datetime.datetime.now(datetime.UTC)
    revoked = x509.RevokedCertificateBuilder().serial_number(lost.serial_number).revocation_date(now).build()
    issuer = authority.issued
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(now).next_update(now + datetime.timedelta(days=3650)).add_revoked_certificate(revoked)
    key = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.private_key.public_key())
    signed = builder.add_extension(key, critical=False).sign(issuer.private_key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def _with_revocations(raw: bytes, revocations: bytes) -> bytes:
    outer = msp_config_pb2.MSPConfig.FromString(raw)
    inner = msp_config_pb2.FabricMSPConfig.FromString(outer.config)
    inner.revocation_list.append(revocations)
    outer.config = inner.SerializeToString()
    return bytes(outer.SerializeToString())


def _signed_update(update: bytes, channel: str, admin: Identity) -> Any:
    header = common_pb2.SignatureHeader(creator=admin.serialized, nonce=os.urandom(24)).SerializeToString()
    signature = configtx_pb2.ConfigSignature(signature_header=header, signature=admin.sign(header + update))
    channel_header = common_pb2.ChannelHeader(type=common_pb2.CONFIG_UPDATE, channel_id=channel)
    channel_header.timestamp.GetCurrentTime()
    payload = common_pb2.Payload(
        header=common_pb2.Header(channel_header=channel_header.SerializeToString(), signature_header=header),
        data=configtx_pb2.ConfigUpdateEnvelope(config_update=update, signatures=[signature]).SerializeToString(),
    ).SerializeToString()
    return common_pb2.Envelope(payload=payload, signature=admin.sign(payload))


async def _broadcast(network: Network, organization: Organization, envelope: Any) -> None:
    own = network.folder.organization(organization.name)
    pair = own.user("admin").tls
    endpoint = Endpoint(
        address=organization.address(Listener.ORDERER), tls_roots=own.tls_root, organization=organization.msp_id
    )
    async with open_channel(endpoint, KeyPairFiles(pair.certificate, pair.private_key)) as channel:
        stream = ab_pb2_grpc.AtomicBroadcastStub(channel).Broadcast()
        await stream.write(envelope)
        answer = await asyncio.wait_for(stream.read(), 30)
        if answer.status != common_pb2.SUCCESS:
            raise RuntimeError(f"the orderer refuses the update: {answer.info}")
        stream.cancel()
    await asyncio.sleep(3.0)


def _identity(network: Network, name: str, user: str = "client") -> Identity:
    pair = network.folder.organization(name).user(user).identity
    return Identity.load(network.topology.organization(name).msp_id, pair.certificate, pair.private_key)


def _roots(network: Network, first: Block) -> bytes:
    return b"".join((f"genesis-block-hash: {first.header.hash().hex()}\n".encode(), *_root_certificates(network)))


def _root_certificates(network: Network) -> Iterator[bytes]:
    for organization in network.topology.organizations:
        for path in sorted((network.folder.public(organization.name).msp / "cacerts").iterdir()):
            yield path.read_bytes()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="the folder to write to")
    asyncio.run(make(parser.parse_args().target, play_disputed_study))
