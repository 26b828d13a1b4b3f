"""A channel in memory with keys of its own: real certificates, endorsements and orderers' signatures, and no network.

Whoever holds all keys can make what no honest ledger has: writes that the contract wouldn't make, endorsed by a full
quorum, certificates that are revoked or expired, configurations that nobody approved.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import federation_world as world
from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    proposal_pb2,
    transaction_pb2,
)
from federation_ledger import run
from played_calls import FEDERATION, Call, State, endorsed_action, state_of, states_of
from played_membership import CHANNEL, ChainMember, PlayedConsortium

from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.memory_stub import MemoryLedger, Simulation, namespace_of
from consilium_chaincode.shim.stub import Creator
from consilium_proto.canonical import Record, digest, encode
from consilium_proto.records import RoundReference, StudyApprovalRequest, StudyReference, StudyTerms
from consilium_proto.witnesses import witnessed_by
from consilium_trail.archive.writing import write_trail
from consilium_trail.blocks.block import Header, data_hash, decode_block
from consilium_trail.roots import TrustedRoots

VALID, MVCC_READ_CONFLICT = 0, 11


class PlayedChain:
    """A chain of blocks that grows by what is asked of it. `now` is the time of the newest transaction (ms)."""

    def __init__(self, consortium: PlayedConsortium, now: int = 0) -> None:
        self.consortium = consortium
        self.configuration = consortium.configuration
        self.now = now or consortium.now
        self.raw: list[bytes] = []
        self.contracts: dict[str, Contract] = {FEDERATION: FederationContract(clock=lambda: self.now)}
        self.ledger = MemoryLedger(CHANNEL, self.contracts)
        self._previous = b""
        self._configured_in = 0
        self.orderers: tuple[ChainMember, ...] = consortium.orderers[:3]
        """Who signs the next blocks."""
        self.next_flags = b""
        """How the next block's transactions are marked, if not as valid."""

    # ---- transactions

    def simulate(
        self, function: str, record: Record, organization: str, role: str = "client", chaincode: str = FEDERATION
    ) -> Call:
        """Run the contract and return what an honest transaction would hold."""
        creator = self.consortium.members[organization, role]
        nonce = os.urandom(24)
        self.now += 10
        simulation: Simulation = run(
            self.ledger.simulate(
                self.contracts[chaincode],
                function,
                encode(record),
                creator=Creator.from_certificate(organization, creator.certificate_pem),
                timestamp=self.now,
                tx_id=hashlib.sha256(nonce + creator.serialized).hexdigest(),
            )
        )
        states = {name: state_of(simulation, namespace_of(name)) for name in self.contracts}
        own = states.pop(chaincode)
        return Call(
            creator=creator,
            function=function,
            arguments=(encode(record),),
            chaincode=chaincode,
            reads=own.reads,
            writes=own.writes,
            event=tuple(simulation.event) if simulation.event else None,
            answer=simulation.result,
            timestamp=self.now,
            nonce=nonce,
            endorsers=self.consortium.endorsers,
            ranges=own.ranges,
            others={name: state for name, state in states.items() if state != State()},
        )

    def sign(self, call: Call, change: Callable[[Any], None] | None = None) -> bytes:
        """Return the transaction; `change` may change the endorsed action before the client signs it."""
        proposer = call.proposer or call.creator
        tx_id = call.tx_id or hashlib.sha256(call.nonce + call.creator.serialized).hexdigest()
        named = chaincode_pb2.ChaincodeID(name=call.chaincode)
        channel_header = common_pb2.ChannelHeader(
            type=common_pb2.ENDORSER_TRANSACTION,
            channel_id=CHANNEL,
            tx_id=tx_id,
            extension=proposal_pb2.ChaincodeHeaderExtension(chaincode_id=named).SerializeToString(),
        )
        channel_header.timestamp.FromMilliseconds(call.timestamp)
        outer = common_pb2.SignatureHeader(creator=call.creator.serialized, nonce=call.nonce).SerializeToString()
        inner = common_pb2.SignatureHeader(creator=proposer.serialized, nonce=call.nonce).SerializeToString()
        header = common_pb2.Header(channel_header=channel_header.SerializeToString(), signature_header=outer)
        action = endorsed_action(call, header.channel_header, inner)
        if change is not None:
            change(action)
        transaction = transaction_pb2.Transaction(
            actions=[transaction_pb2.TransactionAction(header=inner, payload=action.SerializeToString())]
        )
        payload = common_pb2.Payload(header=header, data=transaction.SerializeToString()).SerializeToString()
        return common_pb2.Envelope(payload=payload, signature=call.creator.sign(payload)).SerializeToString()

    # ---- blocks

    def seal(self, envelopes: Sequence[bytes], flags: bytes = b"", configured_in: int | None = None) -> int:
        """Add a block of these transactions, signed by the orderers; all are marked valid unless flags are given."""
        number = len(self.raw)
        flags, self.next_flags = flags or self.next_flags or bytes(len(envelopes)), b""
        header = Header(number, self._previous, data_hash(envelopes))
        signatures = self._signatures(header, self._configured_in if configured_in is None else configured_in)
        block = common_pb2.Block(
            header=common_pb2.BlockHeader(
                number=number, previous_hash=header.previous_hash, data_hash=header.data_hash
            ),
            data=common_pb2.BlockData(data=envelopes),
            metadata=common_pb2.BlockMetadata(metadata=[signatures, b"", flags, b"", b"peer's own"]),
        )
        self.raw.append(block.SerializeToString())
        self._previous = header.hash()
        return number

    def commit(self, *calls: Call) -> int:
        """Seal transactions as they are and take over what they write."""
        number = self.seal([self.sign(call) for call in calls])
        for position, call in enumerate(calls):
            for name, state in states_of(call).items():
                for key, value in state.writes.items():
                    self.ledger.set_committed(key, value, (number, position), namespace_of(name))
        return number

    def submit(
        self, function: str, record: Record, organization: str, role: str = "client", chaincode: str = FEDERATION
    ) -> int:
        """Commit an honest transaction in a block of its own."""
        return self.commit(self.simulate(function, record, organization, role, chaincode))

    def configure(self, envelope: bytes) -> int:
        """Seal a block with a configuration."""
        self._configured_in = len(self.raw)
        return self.seal([envelope])

    def begin(self) -> None:
        """Seal the first block and the federation's definition."""
        self.orderers, signing = (), self.orderers
        self.seal([self.configuration.genesis()])
        self.orderers = signing
        self.now += 10
        self.commit(self.definition(FEDERATION))

    def definition(self, chaincode: str, policy: Any = None) -> Call:
        """Return the transaction that commits a chaincode's definition, under the channel's policy or its own."""
        return Call(
            creator=self.consortium.members[world.ALPHA, "admin"],
            function="CommitChaincodeDefinition",
            arguments=(),
            chaincode="_lifecycle",
            version="syscc",
            writes=self.configuration.definition(chaincode, policy),
            timestamp=self.now,
            endorsers=self.consortium.endorsers,
        )

    def found(self) -> None:
        """Found the consortium."""
        self.begin()
        for hospital in world.HOSPITALS:
            self.submit("ApproveConsortium", world.consortium(), hospital, "admin")
        self.submit("EnactConsortium", world.consortium(), world.ALPHA, "admin")

    def begin_study(self, rounds: int = 3) -> int:
        """Found the consortium and propose a study; return the proposal's block."""
        self.found()
        return self.submit("ProposeStudy", world.terms(rounds=rounds), world.ALPHA, "admin")

    def activate(self, terms: StudyTerms | None = None) -> None:
        """Approve and activate the study, and open its key epoch."""
        approved = StudyApprovalRequest(study=world.STUDY, terms=digest(terms or world.terms(rounds=3)))
        for hospital in world.HOSPITALS[:3]:
            self.submit("ApproveStudy", approved, hospital, "admin")
        self.submit("ActivateStudy", StudyReference(study=world.STUDY), world.ALPHA, "admin")
        self.submit("OpenKeyEpoch", world.key_epoch(), world.ALPHA)

    def play_round(self, number: int = 1, base: str = world.MODEL_0) -> None:
        """Play a round of the active study to its end; a phase's writes share a block."""
        self.play_to_attested(number, base)
        self.advance(number)

    def play_to_attested(self, number: int = 1, base: str = world.MODEL_0) -> None:
        """Play a round until only its last step is missing."""
        self.submit("OpenRound", world.opening(round=number, base=base), world.ALPHA)
        named = {"round": number}
        self.commit(
            *(
                self.simulate("Join", world.join(i, chain_end=world.chain(name, 0, number), **named), name)
                for i, name in enumerate(world.HOSPITALS)
            )
        )
        self.advance(number)
        self._all("Anchor", number, lambda _, i: world.anchor(i, **named))
        for name in world.HOSPITALS:
            for owner in witnessed_by(world.HOSPITALS, name, 1):
                self.submit("Hold", world.held(owner, **named), name)
        self.submit("Publish", world.publication(**named), world.AGGREGATORS[0])
        self.advance(number)
        self._all("Reveal", number, lambda name, _: world.reveal(name, number=number))
        self._all("Fingerprint", number, lambda name, _: world.fingerprint(name, **named))
        self._each("Attest", lambda *_: world.attestation(**named))

    def _all(self, function: str, number: int, record_of: Callable[[str, int], Record]) -> None:
        """Let every hospital write in one block, and move the round on."""
        self._each(function, record_of)
        self.advance(number)

    def _each(self, function: str, record_of: Callable[[str, int], Record]) -> None:
        self.commit(*(self.simulate(function, record_of(name, i), name) for i, name in enumerate(world.HOSPITALS)))

    def advance(self, number: int = 1) -> int:
        """Move the round on."""
        return self.submit("Advance", RoundReference(study=world.STUDY, round=number), world.ALPHA)

    # ---- what comes of it

    def write(self, target: Path) -> Path:
        """Write the study's trail."""
        exporter = self.consortium.members[world.BETA, "client"]
        write_trail(target, (decode_block(raw) for raw in self.raw), CHANNEL, world.STUDY, exporter)
        return target

    def roots(self) -> TrustedRoots:
        """Return the roots to trust, and the first block's hash."""
        return TrustedRoots(self.consortium.root_certificates(), self._genesis())

    def roots_file(self) -> bytes:
        """Return them as a file."""
        names = sorted(self.consortium.authorities)
        certificates = [self.consortium.authorities[name].issued.certificate_pem() for name in names]
        return f"genesis-block-hash: {self._genesis()}\n".encode() + b"".join(certificates)

    def _genesis(self) -> str:
        return decode_block(self.raw[0]).header.hash().hex()

    def _signatures(self, header: Header, configured_in: int) -> bytes:
        value = common_pb2.OrdererBlockMetadata(last_config=common_pb2.LastConfig(index=configured_in))
        metadata = common_pb2.Metadata(value=value.SerializeToString())
        for orderer in self.orderers:
            number = self.consortium.orderers.index(orderer) + 1
            signer = common_pb2.IdentifierHeader(identifier=number, nonce=os.urandom(24)).SerializeToString()
            signature = orderer.sign(metadata.value + signer + header.encoded())
            metadata.signatures.add(identifier_header=signer, signature=signature)
        return metadata.SerializeToString()
