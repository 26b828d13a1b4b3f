"""The name of every key that the federation keeps on the ledger.

`Advance` and `OpenRound` alone write `round_state`; of all keys below it each has one author, named in the key, who
writes it once (a proof is written by whoever shows it first: it says the same whoever that is). So two hospitals never
conflict, and a transaction that reads a round's state is invalid in the same block behind an `Advance` of that round.
"""

from __future__ import annotations

from consilium_chaincode.shim.composite_keys import composite_key
from consilium_proto.canonical import digest
from consilium_proto.records import Consortium

STUDY_KIND = "study"


def consortium() -> str:
    """The consortium in force; written by EnactConsortium."""
    return composite_key("consortium")


def consortium_approval(proposed: Consortium, hospital: str) -> str:
    """One hospital's approval of one proposed consortium; written by that hospital."""
    return composite_key("consortium-approval", str(proposed.revision), digest(proposed), hospital)


def hospital_key(hospital: str) -> str:
    """A hospital's wrapping key; written, and replaced, by that hospital."""
    return composite_key("hospital-key", hospital)


def privacy_account(hospital: str, data_set: str) -> str:
    """What a hospital's data set has spent in all studies; written by that hospital's anchors alone."""
    return composite_key("privacy-account", hospital, data_set)


def study_privacy(name: str, hospital: str) -> str:
    """The privacy entry of a hospital's newest anchor in a study; written by that hospital's anchors alone."""
    return composite_key("study-privacy", name, hospital)


def study(name: str) -> str:
    """A study's terms and phase; written by ProposeStudy, ActivateStudy and CloseStudy."""
    return composite_key(STUDY_KIND, name)


def study_approval(name: str, hospital: str) -> str:
    """One hospital's approval of a study; written by that hospital."""
    return composite_key("study-approval", name, hospital)


def study_progress(name: str) -> str:
    """Where a study's rounds stand; written when a study becomes active and when a round opens or is decided."""
    return composite_key("study-progress", name)


def current_epoch(name: str) -> str:
    """The number of a study's current key epoch; written by OpenKeyEpoch alone."""
    return composite_key("current-epoch", name)


def key_epoch(name: str, epoch: int) -> str:
    """A key epoch; written once by OpenKeyEpoch."""
    return composite_key("key-epoch", name, str(epoch))


def round_state(name: str, number: int) -> str:
    """A round's state; created by OpenRound and changed by Advance."""
    return composite_key("round", name, str(number))


def study_bars(name: str) -> str:
    """Who is barred from a study; written by Advance and Readmit."""
    return composite_key("study-bars", name)


def readmission_approval(name: str, party: str, number: int, hospital: str) -> str:
    """One hospital's word that a party, barred in that round, be readmitted."""
    return composite_key("readmission-approval", name, party, str(number), hospital)


def join(name: str, number: int, hospital: str) -> str:
    """A hospital's join of a round."""
    return composite_key("join", name, str(number), hospital)


def anchor(name: str, number: int, attempt: int, hospital: str) -> str:
    """A hospital's anchor in one attempt of a round."""
    return composite_key("anchor", name, str(number), str(attempt), hospital)


def publication(name: str, number: int, aggregator: str) -> str:
    """An aggregator's publication in a round: one, whatever the attempt."""
    return composite_key("publication", name, str(number), aggregator)


def held(name: str, number: int, attempt: int, owner: str, witness: str) -> str:
    """A witness's word that it holds a hospital's vector."""
    return composite_key("held", name, str(number), str(attempt), owner, witness)


def reveal(name: str, number: int, publication_: int, hospital: str) -> str:
    """The value that a hospital revealed for a publication."""
    return composite_key("reveal", name, str(number), str(publication_), hospital)


def fingerprint(name: str, number: int, publication_: int, hospital: str) -> str:
    """A hospital's fingerprints for a publication."""
    return composite_key("fingerprint", name, str(number), str(publication_), hospital)


def listing(name: str, number: int, publication_: int, author: str, vector: str) -> str:
    """An author's list of a disputed vector's chunks."""
    return composite_key("listing", name, str(number), str(publication_), author, vector)


def disproof(name: str, number: int, publication_: int, author: str, vector: str) -> str:
    """That an author's list of a vector was disproved; written by whoever shows it first."""
    return composite_key("disproof", name, str(number), str(publication_), author, vector)


def malformed(name: str, number: int, attempt: int, vector: str) -> str:
    """That a vector (a hospital's, or an aggregator's sum) has a malformed chunk; written by whoever shows it first."""
    return composite_key("malformed", name, str(number), str(attempt), vector)


def attestation(name: str, number: int, publisher: str, hospital: str) -> str:
    """A hospital's attestation of the model that follows from one aggregator's publication."""
    return composite_key("attestation", name, str(number), publisher, hospital)
