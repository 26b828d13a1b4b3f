"""The federation contract as typed calls: one method per function, records in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from consilium_peers.gateway import Contract, SubmitResult
from consilium_proto import canonical
from consilium_proto.canonical import Record
from consilium_proto.records import (
    Anchor,
    Attestation,
    Consortium,
    Disproof,
    Fingerprint,
    Held,
    HospitalKey,
    HospitalReference,
    Join,
    KeyEpoch,
    KeyEpochReference,
    Listing,
    MalformedChunk,
    Opening,
    PrivacyAccount,
    PrivacyAccountReference,
    Publication,
    Readmission,
    Reveal,
    RoundReference,
    RoundView,
    StudyApprovalRequest,
    StudyList,
    StudyReference,
    StudyTerms,
    StudyView,
)

R = TypeVar("R", bound=Record)


class Replayed(Protocol):
    """Answers queries from a state that it has computed itself."""

    async def evaluate(self, function: str, *arguments: bytes) -> bytes:
        """Return the contract's answer."""
        ...


class Federation:
    """Calls the contract with one identity. A refusal arrives as a `GatewayError` whose `refusal` is the code."""

    def __init__(self, contract: Contract, readers: Sequence[str] = (), replayed: Replayed | None = None) -> None:
        """Take a contract to call.

        Args:
            contract: the contract.
            readers: the organisations (MSP ids) whose peers may answer queries; without any, whichever peer answers.
                Nobody vouches for what a single peer says, so who acts on it asks the own organisation's only.
            replayed: answers all queries in the peers' place.
        """
        self._contract = contract
        self._readers = tuple(readers)
        self._replayed = replayed

    async def _submit(self, function: str, record: Record) -> SubmitResult:
        return await self._contract.submit(function, canonical.encode(record))

    async def _read(self, function: str, record: Record | None, kind: type[R]) -> R:
        argument = b"" if record is None else canonical.encode(record)
        if self._replayed is not None:
            answer = await self._replayed.evaluate(function, argument)
        else:
            answer = await self._contract.evaluate(function, argument, organizations=self._readers)
        return canonical.decode(kind, answer)

    # ---- the consortium

    async def approve_consortium(self, consortium: Consortium) -> SubmitResult:
        """Approve who may act, as an administrator of a hospital."""
        return await self._submit("ApproveConsortium", consortium)

    async def enact_consortium(self, consortium: Consortium) -> SubmitResult:
        """Put an approved consortium into force."""
        return await self._submit("EnactConsortium", consortium)

    async def read_consortium(self) -> Consortium:
        """Return who may act."""
        return await self._read("ReadConsortium", None, Consortium)

    async def register_hospital_key(self, key: HospitalKey) -> SubmitResult:
        """Publish the key to which the caller's hospital wants key epochs wrapped."""
        return await self._submit("RegisterHospitalKey", key)

    async def try_register_hospital_key(self, wrapping_key: str) -> None:
        """Ask whether a registration would be endorsed now; nothing is written. For checking identity and clock."""
        key = HospitalKey(wrapping_key=wrapping_key)
        await self._contract.evaluate("RegisterHospitalKey", canonical.encode(key))

    async def read_hospital_key(self, hospital: str) -> HospitalKey:
        """Return a hospital's wrapping key."""
        return await self._read("ReadHospitalKey", HospitalReference(hospital=hospital), HospitalKey)

    # ---- studies

    async def propose_study(self, terms: StudyTerms) -> SubmitResult:
        """Propose a study."""
        return await self._submit("ProposeStudy", terms)

    async def approve_study(self, study: str, terms: str) -> SubmitResult:
        """Approve a study by the digest of its terms."""
        return await self._submit("ApproveStudy", StudyApprovalRequest(study=study, terms=terms))

    async def activate_study(self, study: str) -> SubmitResult:
        """Make a study active that a majority of the hospitals approved."""
        return await self._submit("ActivateStudy", StudyReference(study=study))

    async def close_study(self, study: str) -> SubmitResult:
        """Close a study: no further round opens."""
        return await self._submit("CloseStudy", StudyReference(study=study))

    async def read_study(self, study: str) -> StudyView:
        """Return a study with its approvals, head and current key epoch."""
        return await self._read("ReadStudy", StudyReference(study=study), StudyView)

    async def list_studies(self) -> StudyList:
        """Return the identifiers of all studies."""
        return await self._read("ListStudies", None, StudyList)

    async def authorize_export(self, study: str) -> None:
        """Ask whether the caller may sign a study's trail in its organisation's name; refused with FORBIDDEN if not."""
        argument = canonical.encode(StudyReference(study=study))
        await self._contract.evaluate("AuthorizeExport", argument, organizations=self._readers)

    async def open_key_epoch(self, epoch: KeyEpoch) -> SubmitResult:
        """Commit to a new key of a study, wrapped to its holders."""
        return await self._submit("OpenKeyEpoch", epoch)

    async def read_key_epoch(self, study: str, epoch: int) -> KeyEpoch:
        """Return a key epoch of a study, the current one or an earlier one."""
        return await self._read("ReadKeyEpoch", KeyEpochReference(study=study, epoch=epoch), KeyEpoch)

    # ---- rounds

    async def open_round(self, opening: Opening) -> SubmitResult:
        """Open a study's next round."""
        return await self._submit("OpenRound", opening)

    async def join(self, join: Join) -> SubmitResult:
        """Take part in an open round."""
        return await self._submit("Join", join)

    async def anchor(self, anchor: Anchor) -> SubmitResult:
        """Write the root of an encrypted update."""
        return await self._submit("Anchor", anchor)

    async def publish(self, publication: Publication) -> SubmitResult:
        """Write the root of the encrypted sum, as an aggregator."""
        return await self._submit("Publish", publication)

    async def hold(self, held: Held) -> SubmitResult:
        """Confirm, as a witness, that every chunk of another hospital's vector is here and well-formed."""
        return await self._submit("Hold", held)

    async def reveal(self, reveal: Reveal) -> SubmitResult:
        """Reveal the hash chain's value for the round's current publication."""
        return await self._submit("Reveal", reveal)

    async def fingerprint(self, fingerprint: Fingerprint) -> SubmitResult:
        """Write the fingerprints of the own vector, the witnessed ones and the sum."""
        return await self._submit("Fingerprint", fingerprint)

    async def list_values(self, listing: Listing) -> SubmitResult:
        """List the fingerprints of a disputed vector's chunks."""
        return await self._submit("List", listing)

    async def disprove(self, disproof: Disproof) -> SubmitResult:
        """Show a chunk that has another fingerprint than somebody listed for it."""
        return await self._submit("Disprove", disproof)

    async def prove_malformed(self, malformed: MalformedChunk) -> SubmitResult:
        """Show a chunk under an anchored or published root that isn't a chunk."""
        return await self._submit("ProveMalformed", malformed)

    async def attest(self, attestation: Attestation) -> SubmitResult:
        """Attest the model derived from the round's sum."""
        return await self._submit("Attest", attestation)

    async def advance(self, study: str, round_number: int) -> SubmitResult:
        """Move a round on, when it is due; refused with NOT_YET when it isn't."""
        return await self._submit("Advance", RoundReference(study=study, round=round_number))

    async def read_round(self, study: str, round_number: int) -> RoundView:
        """Return a round with everything its parties wrote."""
        return await self._read("ReadRound", RoundReference(study=study, round=round_number), RoundView)

    # ---- who was barred

    async def approve_readmission(self, readmission: Readmission) -> SubmitResult:
        """Approve, as an administrator of a participant, that a barred party may act again."""
        return await self._submit("ApproveReadmission", readmission)

    async def readmit(self, readmission: Readmission) -> SubmitResult:
        """Readmit a barred party that a majority of the study has approved."""
        return await self._submit("Readmit", readmission)

    # ---- privacy

    async def read_privacy_account(self, reference: PrivacyAccountReference) -> PrivacyAccount:
        """Return what a hospital's data set has spent in all studies; an empty account when it never anchored."""
        return await self._read("ReadPrivacyAccount", reference, PrivacyAccount)
