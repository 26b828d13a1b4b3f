"""Step 10: statements, facts, index, configuration history and reports say what the blocks say, and are signed."""

from __future__ import annotations

import hashlib
from datetime import datetime

from consilium_proto.canonical import encode
from consilium_trail.archive.derived_files import FACTS, DerivedFiles
from consilium_trail.archive.manifest import EXPORTER, MANIFEST, TRAIL_ENVELOPE
from consilium_trail.archive.reading import TrailReader
from consilium_trail.blocks.transactions import Signer
from consilium_trail.blocks.wire import identity_bytes
from consilium_trail.facts import StudyFacts
from consilium_trail.membership import Identity, Membership, NotAMemberError
from consilium_trail.statements import envelope_file, open_envelope, signed_bytes, statement_file, trail_statement
from consilium_trail.verification.findings import Place, Step, UnsoundError
from consilium_trail.verification.moments import outside_period

_BLOCKS = ("blocks/", "flags/")
_REPORT = "report/"
_HTML = ".html"


def check_derived(trail: TrailReader, derived: DerivedFiles) -> None:
    """Compare every file that follows from the blocks with what follows.

    Raises:
        UnsoundError: it differs, or is missing, or there is one that nothing leads to.
        ArchiveError: it can't be read.
    """
    expected = derived.files()
    declared = {each.name for each in trail.manifest.files}
    for name in sorted(expected):
        if name not in declared:
            raise UnsoundError(Step.STATEMENTS, Place(file=name), "it is missing")
        if trail.read(name) != expected[name]:
            raise UnsoundError(Step.STATEMENTS, Place(file=name), "it doesn't say what the blocks say")
    for name in sorted(declared - set(expected)):
        if name.startswith(_REPORT):
            _check_report(trail, name, hashlib.sha256(expected[FACTS]).hexdigest())
        elif not name.startswith(_BLOCKS):
            raise UnsoundError(Step.STATEMENTS, Place(file=name), "nothing in the blocks leads to it")
    found = {each.round for each in derived.collector.facts().rounds}
    for number in trail.manifest.rounds:
        if number not in found:
            raise UnsoundError(Step.STATEMENTS, Place(file=MANIFEST), f"the blocks have no round {number}")
    if derived.collector.last_needed != trail.manifest.blocks - 1:
        raise UnsoundError(
            Step.STATEMENTS,
            Place(file=MANIFEST),
            f"the last block about the study is {derived.collector.last_needed}, and the trail has "
            f"{trail.manifest.blocks} blocks",
        )


def check_envelopes(trail: TrailReader, facts: StudyFacts, membership: Membership, passed: datetime) -> Identity:
    """Check the exporter's signatures of every statement and of the manifest; return who exported.

    Raises:
        UnsoundError: one isn't good, or says something else.
        ArchiveError: an envelope can't be read.
    """
    exporter = _exporter(trail, membership, passed)
    key = hashlib.sha256(trail.exporter.certificate.encode()).hexdigest()
    manifest = trail.manifest
    rounds = [each.round for each in facts.rounds]
    due = {envelope_file(number): trail.read(statement_file(number)) for number in rounds}
    due[TRAIL_ENVELOPE] = trail_statement(manifest.channel, manifest.study, encode(manifest))
    for name, statement in due.items():
        place = Place(file=name)
        if name not in trail.files:
            raise UnsoundError(Step.STATEMENTS, place, "it is missing")
        found, key_id, signature = open_envelope(trail.read(name), name)
        if found != statement:
            raise UnsoundError(Step.STATEMENTS, place, "it isn't the statement that the blocks lead to")
        if key_id != key or not exporter.has_signed(signature, signed_bytes(statement)):
            raise UnsoundError(Step.STATEMENTS, place, f"the signature isn't that of the exporter, {exporter.msp_id}")
    _refuse_others(trail, set(due))
    return exporter


def _check_report(trail: TrailReader, name: str, facts: str) -> None:
    """A page for people must name the facts it shows; of other forms the digest alone is checked, in step 1."""
    if name.endswith(_HTML) and facts.encode() not in trail.read(name):
        raise UnsoundError(Step.STATEMENTS, Place(file=name), f"it isn't a report of these facts, {facts}")


def _exporter(trail: TrailReader, membership: Membership, passed: datetime) -> Identity:
    place = Place(file=EXPORTER)
    said = trail.exporter
    certificate = said.certificate.encode()
    try:
        found = membership.identity(Signer(identity_bytes(said.msp_id, certificate), said.msp_id, certificate))
    except NotAMemberError as error:
        raise UnsoundError(Step.STATEMENTS, place, str(error)) from None
    if not found.trusted:
        raise UnsoundError(Step.STATEMENTS, place, f"the root of {said.msp_id} isn't among the trusted ones")
    if late := outside_period(found, passed):
        raise UnsoundError(Step.STATEMENTS, place, late)
    return found


def _refuse_others(trail: TrailReader, envelopes: set[str]) -> None:
    known = {*envelopes, EXPORTER, *(each.name for each in trail.manifest.files)}
    for name in sorted(set(trail.files) - known):
        if not name.startswith("signatures/orderers/"):
            raise UnsoundError(Step.STATEMENTS, Place(file=name), "nothing in the blocks leads to it")
