"""What dishonest parties try on the real network, and what becomes of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import proposal_pb2
from patience import SETTLING_SECONDS, is_behind, persistently, refused_with
from played_study import HOSPITALS, Party, PlayedStudy, played_study

from consilium_client.masks import mask_slots
from consilium_network.network import Network
from consilium_peers.commit import Transaction
from consilium_peers.errors import CommitError, EndorseError
from consilium_peers.gateway import Proposal
from consilium_proto import canonical
from consilium_proto.chunk_tree import VectorContext
from consilium_proto.records import Attestation, Publication, RoundPhase, RoundReference
from consilium_proto.refusals import RefusalCode

pytestmark = pytest.mark.network


def at_another_time(party: Party, proposal: Proposal, seconds: float) -> Proposal:
    """Return the same proposal with its timestamp moved, signed anew: what a client with a forged clock sends."""
    changed = proposal_pb2.Proposal.FromString(proposal.signed.message.proposal_bytes)
    header = common_pb2.Header.FromString(changed.header)
    channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
    channel_header.timestamp.FromMilliseconds(int((time.time() + seconds) * 1000))
    header.channel_header = channel_header.SerializeToString()
    changed.header = header.SerializeToString()
    raw = changed.SerializeToString()
    message = proposal_pb2.SignedProposal(proposal_bytes=raw, signature=party.gateway.identity.sign(raw))
    return replace(proposal, signed=replace(proposal.signed, message=message))


async def outcome(transaction: Transaction) -> str:
    return (await (await transaction.submit()).status(SETTLING_SECONDS)).code


@pytest.mark.parametrize("seconds", [-600, -20, 20, 600])
async def test_a_forged_timestamp_is_refused_by_the_endorsers(network: Network, seconds: int) -> None:
    async with played_study(network) as study:
        party = study.hospitals[1]
        proposal = party.contract.propose("Join", canonical.encode(study.join(party)))
        forged = at_another_time(party, proposal, seconds)
        await refused_with(lambda: forged.endorse(10), RefusalCode.CLOCK_SKEW)
        await persistently(lambda: party.client.join(study.join(party)))


async def test_a_timestamp_cant_be_changed_by_anybody_else(network: Network) -> None:
    async with played_study(network) as study:
        party, thief = study.hospitals[1], study.hospitals[2]
        proposal = party.contract.propose("Join", canonical.encode(study.join(party)))
        with pytest.raises(EndorseError):
            await at_another_time(thief, proposal, 1).endorse(10)


async def test_wrong_parties_write_nothing(network: Network) -> None:
    async with played_study(network) as study:
        await study.join_all()
        await study.advance_to(RoundPhase.SEALED)
        outsiders = [study.parties["regulator"], study.parties["aggregator"]]
        for outsider in outsiders:
            await refused_with(partial(outsider.client.anchor, study.anchor()), RefusalCode.FORBIDDEN)
            await refused_with(partial(outsider.client.advance, study.name, 1), RefusalCode.FORBIDDEN)
            await refused_with(partial(outsider.admin.close_study, study.name), RefusalCode.FORBIDDEN)
        publication = Publication(study=study.name, round=1, attempt=0, root="cd" * 32, chunks=1)
        hospital = study.hospitals[0]
        await refused_with(lambda: hospital.client.publish(publication), RefusalCode.FORBIDDEN)
        await refused_with(lambda: hospital.admin.anchor(study.anchor()), RefusalCode.FORBIDDEN)


async def test_two_hospitals_cant_write_by_themselves(network: Network) -> None:
    async with played_study(network) as study:
        party = study.hospitals[0]
        argument = canonical.encode(study.join(party))
        pair = list(HOSPITALS.values())[:2]
        with pytest.raises(CommitError) as caught:
            await party.contract.submit("Join", argument, endorsing_organizations=pair)
        assert caught.value.status == "ENDORSEMENT_POLICY_FAILURE"
        assert (await study.view()).joins == ()


async def test_a_second_anchor_of_a_hospital_is_refused(network: Network) -> None:
    async with played_study(network) as study:
        await study.join_all()
        await study.advance_to(RoundPhase.SEALED)
        party = study.hospitals[0]
        first = study.anchor()
        await persistently(lambda: party.client.anchor(first))
        await refused_with(lambda: party.client.anchor(study.anchor()), RefusalCode.ALREADY_WRITTEN)
        assert [entry.anchor for entry in (await study.view()).anchors] == [first]


async def test_unknown_studies_and_rounds_are_refused(network: Network) -> None:
    async with played_study(network) as study:
        client = study.hospitals[0].client
        await refused_with(lambda: client.read_study("nobody-proposed-it"), RefusalCode.NOT_FOUND)
        await refused_with(lambda: client.read_round(study.name, 9), RefusalCode.NOT_FOUND)
        unknown = Attestation(study=study.name, round=9, publication="AggregatorMSP", model="ab" * 32)
        await refused_with(lambda: client.attest(unknown), RefusalCode.NOT_FOUND)


@pytest.mark.parametrize("first", ["anchor", "retry"])
async def test_of_an_anchor_and_a_retry_in_one_block_one_is_valid(network: Network, first: str) -> None:
    """The last hospital anchors in time but hands its transaction in only beside the retry that drops it."""
    async with played_study(network, "sealed") as study:
        await study.join_all()
        await study.advance_to(RoundPhase.SEALED)
        late, others = study.hospitals[3], study.hospitals[:3]
        for party in others:
            await persistently(lambda party=party: party.client.anchor(study.anchor()))  # type: ignore[misc]
        anchor = await late.contract.propose("Anchor", canonical.encode(study.anchor())).endorse(10)
        retry = await _endorsed_retry(study, others[1])
        transactions = [anchor, retry] if first == "anchor" else [retry, anchor]
        tasks = []
        for transaction in transactions:
            tasks.append(asyncio.create_task(outcome(transaction)))
            await asyncio.sleep(0.02)
        codes = await asyncio.gather(*tasks)
        assert sorted(codes) == ["MVCC_READ_CONFLICT", "VALID"]
        if codes[transactions.index(retry)] == "VALID":
            view = await study.until(lambda seen: seen.round.attempt == 1)
            assert late.organization not in view.round.participants
            assert late.organization not in {entry.hospital for entry in view.anchors}
        else:
            view = await study.until(lambda seen: len(seen.anchors) == 4)
            assert view.round.attempt == 0


async def _endorsed_retry(study: PlayedStudy, party: Party) -> Transaction:
    """Wait until the deadline has passed for `Advance`, and have one endorsed but not handed in."""
    reference = canonical.encode(RoundReference(study=study.name, round=1))
    async with asyncio.timeout(SETTLING_SECONDS):
        while True:
            try:
                return await party.contract.propose("Advance", reference).endorse(10)
            except EndorseError as error:
                if not is_behind(error):
                    raise
            await asyncio.sleep(0.2)


async def test_a_silent_hospital_is_left_out_and_too_late_afterwards(network: Network) -> None:
    async with played_study(network, "sealed") as study:
        await study.join_all()
        await study.advance_to(RoundPhase.SEALED)
        silent, others = study.hospitals[3], study.hospitals[:3]
        for party in others:
            await persistently(lambda party=party: party.client.anchor(study.anchor()))  # type: ignore[misc]
        deadline = (await study.view()).round.deadline
        await asyncio.sleep(max(0, deadline / 1000 - time.time()) + 0.2)
        await refused_with(lambda: silent.client.anchor(study.anchor()), RefusalCode.DEADLINE_PASSED)
        view = await study.advance_to(RoundPhase.SEALED, attempt=1)
        assert set(view.round.participants) == {party.organization for party in others}
        assert view.round.missing == (silent.organization,)
        assert view.next_phase is None, "a new attempt needs new anchors"
        await refused_with(lambda: silent.client.anchor(study.anchor(attempt=1)), RefusalCode.FORBIDDEN)


async def test_a_copied_mask_key_is_written_and_gains_nothing(network: Network) -> None:
    async with played_study(network) as study:
        victim, thief, other, last = study.hospitals
        copied = other.mask_key.public_key().public_bytes_raw().hex()
        for party in (victim, other, last):
            await persistently(lambda party=party: party.client.join(study.join(party)))  # type: ignore[misc]
        await persistently(lambda: thief.client.join(study.join(thief, copied)))
        view = await study.advance_to(RoundPhase.SEALED)
        keys = {entry.hospital: entry.join.mask_key for entry in view.joins}
        assert keys[thief.organization] == keys[other.organization]

        def masked_by(party: Party, slots: np.ndarray[Any, np.dtype[np.uint64]]) -> Any:
            context = VectorContext("consilium", study.name, 1, 1, 0, party.organization, "update")
            others = {name: key for name, key in keys.items() if name != party.organization}
            return mask_slots(slots, party.mask_key, party.organization, others, context, 48)

        update = np.arange(4096, dtype=np.uint64).reshape(1, -1)
        masked = masked_by(victim, update)
        # The masks that the victim shares with the thief and with the copied hospital are different, so that no
        # combination of what the thief can compute for either cancels the third one's.
        assert not np.array_equal(masked, update)
        assert np.count_nonzero(masked == update) < 5
