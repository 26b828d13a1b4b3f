"""The bridge reads what peers signed exactly as peers do, or not at all."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from bridge_stage import BridgeStage, random_epoch
from fabric_consortium import CHANNEL, Question, action_of, payload_of
from fabric_protos.peer import proposal_pb2, proposal_response_pb2
from proposal_surgery import as_peers_read, field, random_surgery, shifted, split_fields, varint

from consilium_peers.ethereum.endorsed_answer import BridgeArguments, EndorsedAnswer
from consilium_proto.rewards.attestation import EPOCH_FUNCTION, encode_epoch

PARTS = ("payload", "channel_header", "signature_header", "proposal_payload", "signatures")
# How long each of the two fuzz tests lasts; `make fuzz-bridge` gives them longer.
FUZZ_SECONDS = float(os.environ.get("CONSILIUM_FUZZ_SECONDS", "3"))


def refusal(stage: BridgeStage, arguments: BridgeArguments) -> str:
    return stage.bridge.refusal(stage.submission(arguments))


def answered(stage: BridgeStage, question: Question, action: bytes | None = None) -> BridgeArguments:
    """Have peers endorse an answer to a question, whatever the question looks like."""
    content = encode_epoch(stage.location, random_epoch(7).root)
    payload = payload_of(question.hash, action_of(content).SerializeToString() if action is None else action)
    return endorsed(stage, question, payload)


def endorsed(stage: BridgeStage, question: Question, payload: bytes) -> BridgeArguments:
    """Have peers sign these bytes, which need not be what a peer writes."""
    envelope = stage.consortium.envelope(question, payload, stage.consortium.peers[:3])
    signed = EndorsedAnswer.of_prepared(envelope)
    stand_in = replace(signed, payload=payload_of(bytes(32), action_of(b"\x89CONSIL\x01").SerializeToString()))
    return replace(stand_in.arguments(stage.numbers, 3), payload=payload)


@pytest.fixture
def question(untouched: BridgeStage) -> Question:
    return untouched.consortium.question(EPOCH_FUNCTION)


@pytest.fixture(scope="module")
def good(untouched: BridgeStage) -> BridgeArguments:
    arguments = untouched.epoch_arguments(random_epoch(7))
    assert refusal(untouched, arguments) == ""
    return arguments


# ---- without new endorsements


@pytest.mark.parametrize("part", PARTS)
def test_a_flipped_byte_in_any_part(untouched: BridgeStage, good: BridgeArguments, part: str) -> None:
    whole: bytes = getattr(good, part)
    # Every byte of what is short or has structure; in certificates and signatures a sample.
    places = range(len(whole)) if len(whole) < 350 else [*range(8), *range(8, len(whole), 11), len(whole) - 1]
    for place in places:
        flipped = whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :]
        assert refusal(untouched, replace(good, **{part: flipped})) != "", f"byte {place} of {part}"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("tail", [b"\0", b"\x0a\0", b"\x22\x09consilium", bytes(66)])
def test_trailing_bytes_in_any_part(untouched: BridgeStage, good: BridgeArguments, part: str, tail: bytes) -> None:
    assert refusal(untouched, replace(good, **{part: getattr(good, part) + tail})) != ""


@pytest.mark.parametrize("part", PARTS)
def test_any_part_cut_short(untouched: BridgeStage, good: BridgeArguments, part: str) -> None:
    whole: bytes = getattr(good, part)
    for kept in (0, 1, 2, len(whole) // 2, len(whole) - 1):
        assert refusal(untouched, replace(good, **{part: whole[:kept]})) != ""


# ---- what peers would sign


@pytest.mark.parametrize("tail", [b"\0", b"\x0a\0", field(0x12, b"x"), field(0x1A, b"x"), varint(0x20) + b"\1"])
def test_trailing_bytes_that_peers_signed(untouched: BridgeStage, question: Question, tail: bytes) -> None:
    """In the payload, in the action, in the response, in the chaincode's name."""
    content = encode_epoch(untouched.location, random_epoch(7).root)
    action = action_of(content)
    whole = payload_of(question.hash, action.SerializeToString())
    assert refusal(untouched, endorsed(untouched, question, whole)) == ""
    assert refusal(untouched, endorsed(untouched, question, whole + tail)) == "BadEncoding"
    assert refusal(untouched, answered(untouched, question, action.SerializeToString() + tail)) == "BadEncoding"
    for tag, inner in ((0x1A, action.response), (0x22, action.chaincode_id)):
        fields = split_fields(action.SerializeToString())
        longer = [field(tag, inner.SerializeToString() + tail) if each[0] == tag else each for each in fields]
        assert refusal(untouched, answered(untouched, question, b"".join(longer))) == "BadEncoding"


def test_duplicate_fields_that_peers_signed(untouched: BridgeStage, question: Question) -> None:
    """Of a repeated field a lenient reader takes the last; the bridge takes none."""
    content = encode_epoch(untouched.location, random_epoch(7).root)
    action = action_of(content).SerializeToString()
    payload = payload_of(question.hash, action)
    for fields, seal in ((split_fields(payload), None), (split_fields(action), question)):
        for each in range(len(fields)):
            doubled = b"".join([*fields[: each + 1], *fields[each:]])
            arguments = (
                endorsed(untouched, question, doubled) if seal is None else answered(untouched, question, doubled)
            )
            assert refusal(untouched, arguments) == "BadEncoding"


def test_an_event_or_a_message_beside_an_attestation(untouched: BridgeStage, question: Question) -> None:
    content = encode_epoch(untouched.location, random_epoch(7).root)
    with_event = action_of(content)
    with_event.events = b"an event"
    assert refusal(untouched, answered(untouched, question, with_event.SerializeToString())) == "BadEncoding"
    with_message = action_of(content)
    with_message.response.message = "a message"
    assert refusal(untouched, answered(untouched, question, with_message.SerializeToString())) == "BadEncoding"


def test_a_channel_named_twice(untouched: BridgeStage) -> None:
    """The bridge would read the first name, peers ran it on the last one's channel."""
    honest = untouched.consortium.question(EPOCH_FUNCTION)
    forged = replace(honest, channel_header=honest.channel_header + field(0x22, b"trial"))
    assert as_peers_read(forged) == ("trial", EPOCH_FUNCTION)
    assert refusal(untouched, answered(untouched, forged)) == "BadEncoding"
    # The same with the second name claimed to be part of the signature header.
    arguments = answered(untouched, forged)
    moved = replace(
        arguments,
        channel_header=honest.channel_header,
        signature_header=field(0x22, b"trial") + honest.signature_header,
    )
    assert refusal(untouched, moved) == "BadEncoding"


def test_a_function_named_twice(untouched: BridgeStage) -> None:
    """A second specification of what is invoked, inside one field or beside it, replaces or adds to the first."""
    honest = untouched.consortium.question(EPOCH_FUNCTION)
    other = untouched.consortium.question("eth_call")
    ours = proposal_pb2.ChaincodeProposalPayload.FromString(honest.proposal_payload).input
    theirs = proposal_pb2.ChaincodeProposalPayload.FromString(other.proposal_payload).input
    beside = replace(honest, proposal_payload=honest.proposal_payload + other.proposal_payload)
    assert as_peers_read(beside) == (CHANNEL, "eth_call")
    inside = replace(honest, proposal_payload=field(0x0A, theirs + ours))
    assert as_peers_read(inside) == (CHANNEL, "eth_call")
    for forged in (beside, inside):
        assert refusal(untouched, answered(untouched, forged)) == "BadEncoding"


@pytest.mark.parametrize("padding", [1, 2, 3, 5])
def test_padded_lengths(untouched: BridgeStage, question: Question, padding: int) -> None:
    content = encode_epoch(untouched.location, random_epoch(7).root)
    response = proposal_response_pb2.Response(status=200, payload=content).SerializeToString()
    fields = split_fields(action_of(content).SerializeToString())
    padded = b"".join(field(0x1A, response, padding) if each[0] == 0x1A else each for each in fields)
    assert refusal(untouched, answered(untouched, question, padded)) == "BadEncoding"


# ---- at random


def rounds(seconds: float) -> Iterator[tuple[int, random.Random]]:
    """Yield a seed and its source of chance, again and again, as long as there is time."""
    ends, seed = time.monotonic() + seconds, int(os.environ.get("CONSILIUM_FUZZ_SEED", "1"))
    while time.monotonic() < ends:
        yield seed, random.Random(seed)
        seed += 1


def test_no_mutation_of_a_good_proof_verifies(untouched: BridgeStage, good: BridgeArguments) -> None:
    """Flipped, cut, copied or moved bytes, in any part, with the signatures that there are."""
    count = 0
    for seed, chance in rounds(FUZZ_SECONDS):
        parts = {part: getattr(good, part) for part in PARTS}
        for _ in range(chance.choice((1, 1, 2, 4))):
            part = chance.choice(PARTS)
            parts[part] = mutated(parts[part], chance)
        candidate = BridgeArguments(**parts)
        if candidate != good and not same_signatures_in_another_order(candidate, good):
            assert refusal(untouched, candidate) != "", f"seed {seed}: {candidate}"
            count += 1
    assert count > 20


def mutated(part: bytes, chance: random.Random) -> bytes:
    if not part:
        return chance.randbytes(3)
    first, last = sorted(chance.choices(range(len(part) + 1), k=2))
    kind = chance.randrange(5)
    if kind == 0:
        place = chance.randrange(len(part))
        return part[:place] + bytes([part[place] ^ (1 << chance.randrange(8))]) + part[place + 1 :]
    if kind == 1:
        return part[:first] + part[last:]
    if kind == 2:
        return part[:last] + part[first:last] + part[last:]
    if kind == 3:
        return part[:first] + chance.randbytes(chance.randrange(1, 9)) + part[first:]
    return part[:first] + chance.randbytes(last - first) + part[last:]


def same_signatures_in_another_order(candidate: BridgeArguments, good: BridgeArguments) -> bool:
    def sorted_signatures(packed: bytes) -> list[bytes]:
        return sorted(packed[i : i + 66] for i in range(0, len(packed), 66))

    return candidate == replace(good, signatures=candidate.signatures) and sorted_signatures(
        candidate.signatures
    ) == sorted_signatures(good.signatures)


def test_bridge_and_peers_read_any_proposal_alike(untouched: BridgeStage) -> None:
    """Peers endorse whatever question they can read; the bridge takes only what they read as it does.

    Each question is altered before it is endorsed, and its parts are then presented with their own boundaries and
    with others. Whatever the bridge takes, peers must have seen as `AttestEpoch` on its channel.
    """
    taken = refused = 0
    for seed, chance in rounds(FUZZ_SECONDS):
        function, channel = chance.choice(((EPOCH_FUNCTION, CHANNEL), (EPOCH_FUNCTION, "trial"), ("eth_call", CHANNEL)))
        altered = random_surgery(untouched.consortium.question(function, channel), chance)
        seen = as_peers_read(altered)
        if seen is None:
            continue
        arguments = answered(untouched, altered)
        for presented in (altered, shifted(altered, chance), shifted(altered, chance)):
            candidate = BridgeArguments(arguments.payload, *presented.parts, arguments.signatures)
            if refusal(untouched, candidate) == "":
                taken += 1
                assert seen == (CHANNEL, EPOCH_FUNCTION), f"seed {seed}: {candidate}"
            else:
                refused += 1
    assert taken > 0
    assert refused > 20
