"""What can go wrong between a client and the ledger, by the stage at which it did."""

from __future__ import annotations

from typing import NamedTuple

from consilium_proto.refusals import RefusalCode, refusal_code


class PeersError(Exception):
    """The base of this package's expected errors."""


class ProfileError(PeersError):
    """A profile that is missing, malformed or points to files that aren't there."""


class IdentityError(PeersError):
    """A certificate or key that can't be used: not P-256, not a pair, expired."""


class TokenError(PeersError):
    """A PKCS#11 token that can't be opened or used: no module, no such token or key, a wrong PIN, a key to be read."""


class CheckpointError(PeersError):
    """A checkpoint file that isn't one."""


class ClosedError(PeersError):
    """The gateway was closed while it was in use."""


# Refused for what was asked, or for who asked: neither time nor another gateway changes that.
_FINAL = ("PERMISSION_DENIED", "INVALID_ARGUMENT", "UNAUTHENTICATED", "UNIMPLEMENTED")
_PASSING = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN")
# A peer that can't tell who asks says so in a message, whatever status the gateway gives it.
_STRANGER = "access denied"


class PeerDetail(NamedTuple):
    """What one node said: its organisation, address and message."""

    organization: str
    address: str
    message: str


class GatewayError(PeersError):
    """A transaction failed at some stage.

    Attributes:
        tx_id: the transaction's id; empty where there is none.
        status: the gRPC status name, such as ABORTED, or the validation code of a commit.
        details: what each node answered.
    """

    stage = "call"

    def __init__(self, tx_id: str, status: str, message: str, details: tuple[PeerDetail, ...] = ()) -> None:
        self.tx_id = tx_id
        self.status = status
        self.reason = message
        self.details = details
        said = "".join(f"; {detail.organization} at {detail.address}: {detail.message}" for detail in details)
        named = f" of transaction {tx_id[:16]}" if tx_id else ""
        super().__init__(f"{self.stage}{named} failed ({status}): {message}{said}")

    @property
    def refusal(self) -> RefusalCode | None:
        """Why the contract refused, if it was the contract that did."""
        return refusal_code("; ".join([self.reason, *(detail.message for detail in self.details)]))

    @property
    def transient(self) -> bool:
        """True when the same call may succeed later or elsewhere."""
        return self.status in _PASSING and not self.of_contract and not self.says(_STRANGER)

    @property
    def of_contract(self) -> bool:
        """True when the chaincode itself refused at some peer; gateways call it UNKNOWN or ABORTED."""
        return self.says("chaincode response")

    def says(self, *marks: str) -> bool:
        """Tell whether the gateway or a node says one of these."""
        said = (self.reason, *(detail.message for detail in self.details))
        return any(mark in text for mark in marks for text in said)


class EvaluateError(GatewayError):
    """A query wasn't answered."""

    stage = "evaluation"


class EndorseError(GatewayError):
    """Too few peers endorsed: nothing was ordered."""

    stage = "endorsement"


class SubmitError(GatewayError):
    """The orderers didn't take the transaction; it may still commit if one of them did."""

    stage = "submission"

    @property
    def transient(self) -> bool:
        """True when it may be taken later or elsewhere: a gateway that has just started knows no orderers yet."""
        return super().transient or self.status in ("FAILED_PRECONDITION", "NOT_FOUND")


class CommitStatusError(GatewayError):
    """Whether the transaction was committed isn't known yet."""

    stage = "commit status"

    @property
    def transient(self) -> bool:
        """True unless the question itself is refused: a peer that starts or stops answers ABORTED or NOT_FOUND."""
        return self.status not in _FINAL


class CommitError(GatewayError):
    """The transaction was ordered and found invalid: it changed nothing."""

    stage = "commit"


class StreamError(GatewayError):
    """A stream broke off."""

    stage = "stream"

    @property
    def transient(self) -> bool:
        """True unless the question itself is refused: a peer that starts or stops answers ABORTED or NOT_FOUND."""
        return self.status not in _FINAL and not self.says(_STRANGER)


class EventsError(StreamError):
    """The stream of events broke off."""

    stage = "event stream"


class BlocksError(StreamError):
    """The stream of blocks broke off, or a block that was asked for isn't there."""

    stage = "block stream"
