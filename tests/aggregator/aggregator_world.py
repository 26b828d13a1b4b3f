"""Organisations with real certificates, real ciphertexts, and an aggregator that serves them on 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from ledger_double import AGGREGATOR, DIGEST, LedgerDouble
from numpy.typing import NDArray

from consilium_aggregator.configuration import AggregatorConfiguration
from consilium_aggregator.server import RunningAggregator, running_aggregator
from consilium_client.encryption import UpdateCipher
from consilium_client.upload import AggregatorClient
from consilium_network.certificates import Authority, Issued
from consilium_peers.connection import open_channel
from consilium_peers.profile import Endpoint, KeyPairFiles, OrganizationRoots, Profile
from consilium_proto.chunk_tree import VectorContext, chunk_digest, tree_root
from consilium_proto.generated import aggregator_pb2 as messages
from consilium_proto.generated import aggregator_pb2_grpc
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import (
    Anchor,
    Deadlines,
    Participant,
    Publication,
    RoundPhase,
    StudyTerms,
)

HOSPITALS = ("AlphaMSP", "BetaMSP", "GammaMSP")
ALPHA, BETA, GAMMA = HOSPITALS
OUTSIDER = "OutsiderMSP"
"""An organisation of the consortium that doesn't take part in the study."""
CHANNEL = "consilium"
STUDY = "heart"
CHUNKS = 5
SET = parameter_set("bfv4096-q58-b8")
PARAMETERS = SET.values_per_chunk * (CHUNKS - 1) + 7
EPOCH = 1
CIPHER_SEED = bytes(range(64))
WAIT_SECONDS = 15.0


@dataclass(frozen=True)
class Certificates:
    """One folder with a TLS authority and a pair per organisation."""

    directory: Path
    authorities: dict[str, Authority]

    @classmethod
    def create(cls, directory: Path) -> Certificates:
        made = cls(directory, {})
        for organization in (*HOSPITALS, OUTSIDER, AGGREGATOR):
            authority = Authority.create(f"tlsca.{organization}", organization)
            made.authorities[organization] = authority
            (directory / f"{organization}.roots.pem").write_bytes(authority.issued.certificate_pem())
            made.save(organization, authority.tls(f"user.{organization}", ["127.0.0.1"], 1))
        return made

    def save(self, name: str, issued: Issued) -> KeyPairFiles:
        pair = self.pair(name)
        pair.certificate.write_bytes(issued.certificate_pem())
        pair.private_key.write_bytes(issued.private_key_pem())
        return pair

    def pair(self, name: str) -> KeyPairFiles:
        return KeyPairFiles(self.directory / f"{name}.cert.pem", self.directory / f"{name}.key.pem")

    def roots(self, organization: str) -> Path:
        return self.directory / f"{organization}.roots.pem"

    def profile(self, organization: str, *aggregators: str) -> Profile:
        pair = self.pair(organization)
        return Profile(
            organization=organization,
            role="aggregator" if organization == AGGREGATOR else "hospital",
            channel=CHANNEL,
            chaincode="federation",
            identity=pair,
            roots=self.roots(organization),
            tls=pair,
            gateways=(),
            aggregators=tuple(Endpoint(address, self.roots(AGGREGATOR), AGGREGATOR) for address in aggregators),
            organizations=tuple(OrganizationRoots(name, self.roots(name)) for name in self.authorities),
            server_address="127.0.0.1:0",
            server_tls=self.pair(AGGREGATOR) if organization == AGGREGATOR else None,
        )


@cache
def cipher() -> UpdateCipher:
    return UpdateCipher(SET, CIPHER_SEED, EPOCH)


@cache
def slots_of(hospital: str) -> NDArray[np.uint64]:
    """A hospital's slots, small enough that three of them add up without wrapping."""
    generator = np.random.default_rng(HOSPITALS.index(hospital))
    return generator.integers(0, 1 << 40, (CHUNKS, SET.degree), dtype=np.uint64)


@cache
def encrypted_updates() -> dict[str, tuple[bytes, ...]]:
    """Every hospital's chunks."""
    return {hospital: tuple(cipher().encrypt(slots_of(hospital))) for hospital in HOSPITALS}


def context(owner: str, number: int = 1, study: str = STUDY, label: str = "update") -> VectorContext:
    return VectorContext(CHANNEL, study, EPOCH, number, 0, owner, label)


def reference(owner: str, number: int = 1, **changes: Any) -> messages.VectorReference:
    fields = {
        "protocol": 1,
        "study": STUDY,
        "round": number,
        "attempt": 0,
        "owner": owner,
        "label": "update",
        **changes,
    }
    return messages.VectorReference(**fields)


def manifest(hospital: str, number: int = 1) -> messages.Manifest:
    digests = [chunk_digest(chunk) for chunk in encrypted_updates()[hospital]]
    return messages.Manifest(vector=reference(hospital, number), digests=digests)


def chunk(hospital: str, position: int, content: bytes | None = None) -> messages.Chunk:
    if content is None:
        content = encrypted_updates()[hospital][position]
    return messages.Chunk(vector=reference(hospital), position=position, content=content)


def anchor_of(hospital: str, chunks: tuple[bytes, ...], number: int = 1, study: str = STUDY) -> Anchor:
    root = tree_root(context(hospital, number, study), map(chunk_digest, chunks))
    return Anchor(study=study, round=number, attempt=0, root=root, chunks=len(chunks), privacy=None)


def terms(study: str = STUDY) -> StudyTerms:
    return StudyTerms(
        study=study,
        purpose="research",
        coordinator=ALPHA,
        participants=tuple(Participant(hospital=name, sample_cap=10) for name in HOSPITALS),
        max_colluding=1,
        rounds=3,
        attempts=2,
        deadlines=Deadlines(**dict.fromkeys(Deadlines.__struct_fields__, 60)),
        clock_tolerance=5,
        code=DIGEST,
        schema=DIGEST,
        initial_model=DIGEST,
        parameters=PARAMETERS,
        parameter_set=SET.name,
        update_bound_micro=1_000_000,
        privacy=None,
    )


class World:
    """An aggregator with its store, the ledger that it sees, and the hospitals that speak to it."""

    def __init__(self, certificates: Certificates, ledger: LedgerDouble, store: Path) -> None:
        self.certificates = certificates
        self.ledger = ledger
        self.store = store
        self.address = "127.0.0.1:0"
        ledger.start_study(terms())

    def start_round(
        self,
        phase: RoundPhase = RoundPhase.ANCHORED,
        *,
        number: int = 1,
        study: str = STUDY,
        instead: dict[str, tuple[bytes, ...]] | None = None,
        held: bool = True,
    ) -> None:
        """Put a round on the ledger whose anchors are those of the encrypted updates, or of others `instead`."""
        updates = {**encrypted_updates(), **(instead or {})}
        anchors = {name: anchor_of(name, updates[name], number, study) for name in HOSPITALS}
        self.ledger.start_round(study, number, anchors, phase, held=held)

    @asynccontextmanager
    async def aggregator(self, **changes: Any) -> AsyncIterator[RunningAggregator]:
        """Run the aggregator; started again it has the same store and the same address."""
        profile = self.certificates.profile(AGGREGATOR)
        configuration = AggregatorConfiguration.from_profile(profile, store=self.store, address=self.address)
        configuration = replace(configuration, **changes)
        async with running_aggregator(configuration, ledger=self.ledger, events=self.ledger.events) as running:
            self.address = running.address
            yield running

    def client(self, hospital: str, *others: str) -> AbstractAsyncContextManager[AggregatorClient]:
        """Connect a hospital; `others` are addresses to try before the aggregator's own."""
        return AggregatorClient.connect(self.certificates.profile(hospital, *others, self.address))

    @asynccontextmanager
    async def stub(self, name: str) -> AsyncIterator[Any]:
        """Speak the bare protocol with a pair of certificate and key."""
        endpoint = Endpoint(self.address, self.certificates.roots(AGGREGATOR), AGGREGATOR)
        channel = open_channel(endpoint, self.certificates.pair(name))
        try:
            yield aggregator_pb2_grpc.AggregatorStub(channel)  # type: ignore[no-untyped-call]
        finally:
            await channel.close()

    async def upload_all(self, *hospitals: str, number: int = 1, study: str = STUDY) -> None:
        for hospital in hospitals or HOSPITALS:
            async with self.client(hospital) as client:
                await client.upload(context(hospital, number, study), encrypted_updates()[hospital])

    async def publication(self, number: int = 1, study: str = STUDY) -> Publication:
        await until(lambda: bool(self.ledger.round(study, number).publications))
        return self.ledger.round(study, number).publications[0].publication


async def until(true: Callable[[], bool]) -> None:
    """Wait until a condition holds, looking 50 times a second."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not true():
            await asyncio.sleep(0.02)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """Return status and message of a call that is refused."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError(f"it wasn't refused: {answer}")
