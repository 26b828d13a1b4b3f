"""What there is to list and to disprove in a round: decided from the ledger's view alone."""

from __future__ import annotations

from consilium_proto.records import FingerprintValue, RoundView, WrittenFingerprint, WrittenListing
from consilium_proto.witnesses import witnessed_by


def claims_of(view: RoundView, vector: str) -> dict[str, FingerprintValue]:
    """Return what each author wrote of a vector, named by its owner, for the round's current publication."""
    claims: dict[str, FingerprintValue] = {}
    for entry in current_fingerprints(view):
        written = entry.fingerprint
        if vector == view.round.publisher:
            value = written.sum
        elif vector == entry.hospital:
            value = written.own
        else:
            value = next((one.value for one in written.witnessed if one.owner == vector), None)
        if value is not None:
            claims[entry.hospital] = value
    return claims


def current_fingerprints(view: RoundView) -> list[WrittenFingerprint]:
    """Return the fingerprints for the round's current publication."""
    number = view.round.publication
    return [entry for entry in view.fingerprints if entry.fingerprint.publication == number]


def current_listings(view: RoundView) -> list[WrittenListing]:
    """Return the lists for the round's current publication."""
    return [entry for entry in view.listings if entry.listing.publication == view.round.publication]


def held_vectors(view: RoundView, hospital: str, max_colluding: int) -> tuple[str, ...]:
    """Return the vectors that a hospital can fingerprint: its own, those it witnesses, and the sum."""
    state = view.round
    owners = (hospital, *witnessed_by(state.participants, hospital, max_colluding))
    return owners if state.publisher is None else (*owners, state.publisher)


def to_list(view: RoundView, hospital: str, max_colluding: int) -> list[str]:
    """Return the disputed vectors of which a hospital wrote a value that it hasn't listed yet."""
    listed = {entry.listing.vector for entry in current_listings(view) if entry.hospital == hospital}
    found = []
    for vector in held_vectors(view, hospital, max_colluding):
        claims = claims_of(view, vector)
        if hospital in claims and len(set(claims.values())) > 1 and vector not in listed:
            found.append(vector)
    return found


def others_lists(view: RoundView, hospital: str, max_colluding: int) -> list[WrittenListing]:
    """Return the lists that stand, by others, of vectors of which a hospital wrote a value, unlike its own list.

    What it wrote a value of it holds; a sum that was withheld from it would only keep it from disproving other lists.
    """
    listings = current_listings(view)
    own = {entry.listing.vector: entry.listing.values for entry in listings if entry.hospital == hospital}
    disproved = {
        (entry.author, entry.vector) for entry in view.disproofs if entry.publication == view.round.publication
    }
    vectors = [name for name in held_vectors(view, hospital, max_colluding) if hospital in claims_of(view, name)]
    return [
        entry
        for entry in listings
        if entry.hospital != hospital
        and entry.listing.vector in vectors
        and (entry.hospital, entry.listing.vector) not in disproved
        and own.get(entry.listing.vector) != entry.listing.values
    ]
