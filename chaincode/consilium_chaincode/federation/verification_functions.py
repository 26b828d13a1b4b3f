"""The contract's functions about what was uploaded and summed: witnessing, revealing, fingerprints, disputes."""

from __future__ import annotations

from consilium_chaincode.federation import disputed_chunks, state_keys, verification_writes
from consilium_chaincode.federation.callers import CLIENT
from consilium_chaincode.federation.contract_parts import ContractPart, caller_of, takes
from consilium_chaincode.federation.ledger_state import LedgerState, require_unwritten
from consilium_chaincode.federation.round_reading import read_claims
from consilium_chaincode.shim.contract import transaction
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.chunk_tree import VectorContext
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import (
    Anchor,
    Disproof,
    EventName,
    Fingerprint,
    Held,
    Join,
    Listing,
    MalformedChunk,
    ProofNote,
    Publication,
    Reveal,
    Round,
)


class VerificationFunctions(ContractPart):
    """Hold, Reveal, Fingerprint, List, Disprove, ProveMalformed."""

    @transaction("Hold")
    @takes(Held)
    async def hold(self, stub: ChaincodeStub, held: Held) -> bytes:
        """Confirm, as a witness, that a hospital's whole vector is there and well-formed."""
        # Who may: a client of one of the vector's witnesses.
        caller = caller_of(stub, CLIENT)
        # Read: the study, the round, the caller's own key.
        ledger = LedgerState(stub)
        study = await ledger.study(held.study)
        state = await ledger.round(held.study, held.round)
        own_key = state_keys.held(held.study, held.round, held.attempt, held.owner, caller.organization)
        existing = await ledger.read(Held, own_key)
        # Check.
        caller.require_among(state.participants, participant(state))
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s confirmation of {held.owner}'s vector")
        verification_writes.check_held(study.terms, state, caller.organization, held, timestamp)
        # Write: the caller's own key.
        await ledger.write(own_key, held)
        ledger.announce(EventName.UPDATE_HELD, caller.organization, held.study, held.round, state.phase)
        return b""

    @transaction("Reveal")
    @takes(Reveal)
    async def reveal(self, stub: ChaincodeStub, reveal: Reveal) -> bytes:
        """Reveal a value of the caller's hash chain, now that a sum is published."""
        # Who may: a client of one of the round's hospitals.
        caller = caller_of(stub, CLIENT)
        # Read: the study, the round, the caller's join and own key.
        ledger = LedgerState(stub)
        study = await ledger.study(reveal.study)
        state = await ledger.round(reveal.study, reveal.round)
        caller.require_among(state.participants, participant(state))
        join_key = state_keys.join(reveal.study, reveal.round, caller.organization)
        join = await ledger.require(Join, join_key, f"join of {caller.organization}")
        own_key = state_keys.reveal(reveal.study, reveal.round, reveal.publication, caller.organization)
        existing = await ledger.read(Reveal, own_key)
        # Check.
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s value for publication {reveal.publication}")
        verification_writes.check_reveal(state, caller.organization, join, reveal, timestamp)
        # Write: the caller's own key.
        await ledger.write(own_key, reveal)
        ledger.announce(EventName.VALUE_REVEALED, caller.organization, reveal.study, reveal.round, state.phase)
        return b""

    @transaction("Fingerprint")
    @takes(Fingerprint)
    async def fingerprint(self, stub: ChaincodeStub, written: Fingerprint) -> bytes:
        """Write what the caller computed of its own vector, the witnessed ones and the sum."""
        # Who may: a client of one of the round's hospitals.
        caller = caller_of(stub, CLIENT)
        # Read: the study, the round, the caller's own key.
        ledger = LedgerState(stub)
        study = await ledger.study(written.study)
        state = await ledger.round(written.study, written.round)
        own_key = state_keys.fingerprint(written.study, written.round, written.publication, caller.organization)
        existing = await ledger.read(Fingerprint, own_key)
        # Check.
        caller.require_among(state.participants, participant(state))
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s fingerprints for publication {written.publication}")
        verification_writes.check_fingerprint(study.terms, state, caller.organization, written, timestamp)
        # Write: the caller's own key.
        await ledger.write(own_key, written)
        ledger.announce(EventName.FINGERPRINT_WRITTEN, caller.organization, written.study, written.round, state.phase)
        return b""

    @transaction("List")
    @takes(Listing)
    async def list_values(self, stub: ChaincodeStub, listing: Listing) -> bytes:
        """List a disputed vector chunk by chunk."""
        # Who may: a client of a hospital that wrote a value of that vector.
        caller = caller_of(stub, CLIENT)
        # Read: the study, the round, what the vector's authors wrote, the caller's own key.
        ledger = LedgerState(stub)
        study = await ledger.study(listing.study)
        state = await ledger.round(listing.study, listing.round)
        caller.require_among(state.participants, participant(state))
        authors = verification_writes.disputed_authors(study.terms, state, listing.vector)
        claims = await read_claims(ledger, state, listing.vector, authors)
        own_key = state_keys.listing(
            listing.study, listing.round, listing.publication, caller.organization, listing.vector
        )
        existing = await ledger.read(Listing, own_key)
        # Check.
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s list of {listing.vector}'s vector")
        verification_writes.check_listing(study.terms, state, caller.organization, listing, claims, timestamp)
        # Write: the caller's own key.
        await ledger.write(own_key, listing)
        ledger.announce(EventName.LISTING_WRITTEN, caller.organization, listing.study, listing.round, state.phase)
        return b""

    @transaction("Disprove")
    @takes(Disproof)
    async def disprove(self, stub: ChaincodeStub, disproof: Disproof) -> bytes:
        """Show one chunk whose fingerprint isn't the one that somebody listed: its author is a proved liar."""
        # Who may: a client of any of the round's hospitals; the chunk speaks for itself.
        caller = caller_of(stub, CLIENT)
        # Read: the study, the round, the list, the root that the chunk must be under, whether it is disproved already.
        ledger = LedgerState(stub)
        study = await ledger.study(disproof.study)
        state = await ledger.round(disproof.study, disproof.round)
        place = (disproof.study, disproof.round, disproof.publication, disproof.author, disproof.vector)
        listing = await ledger.read(Listing, state_keys.listing(*place))
        existing = await ledger.read(ProofNote, state_keys.disproof(*place))
        # Check.
        caller.require_among(state.participants, participant(state))
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"the disproof of {disproof.author}'s list")
        listing = verification_writes.check_disproof(state, disproof, listing, timestamp)
        label = "sum" if disproof.vector == state.publisher else "update"
        root, count, context = await _read_root(stub, ledger, state, disproof.vector, label)
        content = disputed_chunks.check_place(root, context, count, disproof.chunk)
        assert state.challenge is not None, "a round in PROVING has a challenge"
        chosen = parameter_set(study.terms.parameter_set)
        computed = disputed_chunks.chunk_fingerprint(
            state.challenge, chosen, context, count, disproof.chunk.index, content
        )
        verification_writes.require_false(disproof, listing, computed)
        # Write: the note that the list is disproved.
        await ledger.write(state_keys.disproof(*place), disputed_chunks.note_of(caller.organization, disproof.chunk))
        ledger.announce(EventName.LISTING_DISPROVED, caller.organization, disproof.study, disproof.round, state.phase)
        return b""

    @transaction("ProveMalformed")
    @takes(MalformedChunk)
    async def prove_malformed(self, stub: ChaincodeStub, shown: MalformedChunk) -> bytes:
        """Show a chunk under an anchored or published root that isn't one: its owner is a proved liar."""
        # Who may: a client of any of the round's hospitals; the chunk speaks for itself.
        caller = caller_of(stub, CLIENT)
        # Read: the study, the round, the root that the chunk must be under, whether it was shown already.
        ledger = LedgerState(stub)
        study = await ledger.study(shown.study)
        state = await ledger.round(shown.study, shown.round)
        key = state_keys.malformed(shown.study, shown.round, state.attempt, shown.vector)
        existing = await ledger.read(ProofNote, key)
        # Check.
        caller.require_among(state.participants, participant(state))
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"the proof that {shown.vector}'s vector is malformed")
        label = verification_writes.check_malformed_phase(state, shown.vector, timestamp)
        root, count, context = await _read_root(stub, ledger, state, shown.vector, label)
        content = disputed_chunks.check_place(root, context, count, shown.chunk)
        disputed_chunks.check_malformed(parameter_set(study.terms.parameter_set), context, content)
        # Write: the note that the vector is malformed.
        await ledger.write(key, disputed_chunks.note_of(caller.organization, shown.chunk))
        ledger.announce(EventName.CHUNK_MALFORMED, caller.organization, shown.study, shown.round, state.phase)
        return b""


def participant(state: Round) -> str:
    """Say what a caller must be, in the singular."""
    return f"a participant of round {state.round} of study {state.study}"


async def _read_root(
    stub: ChaincodeStub, ledger: LedgerState, state: Round, vector: str, label: str
) -> tuple[str, int, VectorContext]:
    """Return a vector's root (hex), its number of chunks, and what they are bound to."""
    written: Anchor | Publication
    if label == "sum":
        key = state_keys.publication(state.study, state.round, vector)
        written = await ledger.require(Publication, key, f"publication of {vector}")
    else:
        key = state_keys.anchor(state.study, state.round, state.attempt, vector)
        written = await ledger.require(Anchor, key, f"anchor of {vector}")
    context = VectorContext(stub.channel, state.study, state.epoch, state.round, state.attempt, vector, label)
    return written.root, written.chunks, context
