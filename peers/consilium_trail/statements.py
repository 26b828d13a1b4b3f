"""in-toto statements about rounds, and about a whole trail, in DSSE envelopes.

Formats: in-toto attestation framework, Statement v1; Dead Simple Signing Envelope v1.0 (secure-systems-lab/dsse).
docs/trail.md describes the two predicate types.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

import msgspec

from consilium_proto.canonical import Record, decode, encode
from consilium_proto.errors import WireError
from consilium_trail.errors import ArchiveError
from consilium_trail.facts import RoundFact, StudyFacts

STATEMENT = "https://in-toto.io/Statement/v1"
ROUND_PREDICATE = "https://consilium.example/trail/round/v1"
TRAIL_PREDICATE = "https://consilium.example/trail/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Subject(Record, frozen=True, kw_only=True):
    """What a statement is about: a name, and digests by algorithm."""

    name: str
    digest: Mapping[str, str]


class RoundPredicate(Record, frozen=True, kw_only=True):
    """What is stated of a round: all that the blocks say about it, and on which ledger."""

    channel: str
    study: str
    genesis: str
    round: RoundFact


class RoundStatement(Record, frozen=True, kw_only=True):
    """A statement about a round; its subject is the model that became final, or the round's base where none did."""

    type_: str = msgspec.field(name="_type", default=STATEMENT)
    subject: tuple[Subject, ...]
    predicateType: str = ROUND_PREDICATE  # noqa: N815 - in-toto's name
    predicate: RoundPredicate


class TrailPredicate(Record, frozen=True, kw_only=True):
    """What is stated of a trail: which ledger and study it is about."""

    channel: str
    study: str


class TrailStatement(Record, frozen=True, kw_only=True):
    """A statement about a trail; its subject is the manifest, which has the digest of everything else."""

    type_: str = msgspec.field(name="_type", default=STATEMENT)
    subject: tuple[Subject, ...]
    predicateType: str = TRAIL_PREDICATE  # noqa: N815 - in-toto's name
    predicate: TrailPredicate


class Signature(Record, frozen=True, kw_only=True):
    """A signature (base64) and which key made it: SHA-256 of the signer's certificate (PEM)."""

    keyid: str
    sig: str


class Envelope(Record, frozen=True, kw_only=True):
    """A DSSE envelope. The signature covers payload type and payload (`signed_bytes`)."""

    payload: str
    payloadType: str  # noqa: N815 - DSSE's name
    signatures: tuple[Signature, ...]


def statement_file(number: int) -> str:
    """Return the name of the file with a round's statement."""
    return f"statements/round-{number:06d}.json"


def envelope_file(number: int) -> str:
    """Return the name of the file with a round's statement in its signed envelope."""
    return f"signatures/statements/round-{number:06d}.dsse.json"


def round_statement(facts: StudyFacts, about: RoundFact) -> bytes:
    """Return a round's statement, in canonical JSON."""
    name, digest = ("model", about.model) if about.model else ("base model", about.base)
    predicate = RoundPredicate(channel=facts.channel, study=facts.study, genesis=facts.genesis, round=about)
    return encode(RoundStatement(subject=(Subject(name=name, digest={"sha256": digest}),), predicate=predicate))


def trail_statement(channel: str, study: str, manifest: bytes) -> bytes:
    """Return the statement about a whole trail, in canonical JSON."""
    subject = Subject(name="manifest.json", digest={"sha256": hashlib.sha256(manifest).hexdigest()})
    return encode(TrailStatement(subject=(subject,), predicate=TrailPredicate(channel=channel, study=study)))


def signed_bytes(statement: bytes) -> bytes:
    """Return what is signed of a statement: DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(statement), statement)


def envelope(statement: bytes, certificate: bytes, signature: bytes) -> bytes:
    """Return a statement in its envelope, in canonical JSON."""
    made = Signature(keyid=hashlib.sha256(certificate).hexdigest(), sig=base64.b64encode(signature).decode())
    payload = base64.b64encode(statement).decode()
    return encode(Envelope(payload=payload, payloadType=PAYLOAD_TYPE, signatures=(made,)))


def open_envelope(raw: bytes, name: str) -> tuple[bytes, str, bytes]:
    """Return statement, key id and signature out of an envelope.

    Raises:
        ArchiveError: it isn't one with one signature.
    """
    try:
        found = decode(Envelope, raw)
        (signature,) = found.signatures
        statement = base64.b64decode(found.payload, validate=True)
        made = base64.b64decode(signature.sig, validate=True)
    except (WireError, ValueError, binascii.Error) as error:
        raise ArchiveError(f"{name} isn't a DSSE envelope with one signature: {error}") from None
    if found.payloadType != PAYLOAD_TYPE:
        raise ArchiveError(f"{name} holds {found.payloadType}, not {PAYLOAD_TYPE}")
    return statement, signature.keyid, made
