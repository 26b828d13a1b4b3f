"""The file that is carried from the ledger to a bridge: an endorsed attestation, and all that can be done with it.

It holds no secret: whoever has it can have the epoch's payouts made to their accounts, and nothing else. So it may be
published, and whoever reads one checks it as far as it can be checked without ledger and chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from consilium_peers.durable import write_atomically
from consilium_peers.ethereum.endorsed_answer import EndorsedAnswer, Endorsement
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.errors import BridgeFileError, BridgeProofError
from consilium_proto.errors import WireError
from consilium_proto.ethereum.resolutions import BridgeDecision, BridgeTerms, EndorserAddition
from consilium_proto.ethereum.rewards import ClosedEpoch
from consilium_proto.ethereum.scalars import Data, as_data, from_data, from_quantity
from consilium_proto.rewards.attestation import (
    DECISION_FUNCTION,
    EPOCH_FUNCTION,
    BridgeLocation,
    EpochRoot,
    encode_epoch,
)
from consilium_proto.rewards.attested_actions import attested_action
from consilium_proto.rewards.decisions import AddEndorser, encode_decision
from consilium_proto.rewards.payout_tree import Payout, payout_root


class _Endorsement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    organization: str
    identity: Data
    signature: Data


class _Endorsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    payload: Data
    channel_header: Data
    signature_header: Data
    proposal_payload: Data
    endorsements: tuple[_Endorsement, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    format: Literal["consilium-bridge-1"]
    channel: Annotated[str, msgspec.Meta(min_length=1)]
    bridge: BridgeTerms
    epoch: ClosedEpoch | None = None
    decision: BridgeDecision | None = None
    endorsed: _Endorsed


@dataclass(frozen=True, slots=True)
class Carried:
    """What is carried: an epoch or a decision as the ledger keeps it, and its attestation for the bridge of `terms`."""

    channel: str
    terms: BridgeTerms
    what: ClosedEpoch | BridgeDecision
    endorsed: EndorsedAnswer

    @property
    def location(self) -> BridgeLocation:
        """The bridge that it is for."""
        return BridgeLocation(self.channel, self.terms.chain_id, from_data(self.terms.address))

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        if isinstance(self.what, ClosedEpoch):
            return f"epoch {self.what.epoch}"
        return f"decision {self.what.number} about the bridge of revision {self.what.bridge}"

    def check(self) -> None:
        """Check that the endorsements are good and that what was endorsed says what the file says.

        Raises:
            BridgeProofError: they aren't, or it doesn't.
        """
        self.endorsed.check_signatures()
        function = EPOCH_FUNCTION if isinstance(self.what, ClosedEpoch) else DECISION_FUNCTION
        try:
            expected = self._attestation()
        except WireError as error:
            raise BridgeProofError(f"{self.title} can't be attested: {error}") from None
        if self.endorsed.function != function or self.endorsed.answer != expected:
            raise BridgeProofError(f"what was endorsed isn't {self.title} for the bridge that the file names")

    def payouts(self) -> list[Payout]:
        """Return an epoch's payouts in the order of the tree.

        Raises:
            BridgeFileError: a decision pays nothing.
        """
        if not isinstance(self.what, ClosedEpoch):
            raise BridgeFileError(f"{self.title} pays nothing; claims are made with an epoch's file")
        return [Payout(from_data(each.account), from_quantity(each.amount)) for each in self.what.payouts]

    def _attestation(self) -> bytes:
        if isinstance(self.what, ClosedEpoch):
            payouts = self.payouts()
            root = EpochRoot(self.what.epoch, sum(each.amount for each in payouts), payout_root(payouts), len(payouts))
            return encode_epoch(self.location, root)
        return encode_decision(self.location, self.what.number, attested_action(self.what.action, _registration))

    def write(self, path: Path) -> None:
        """Write it to a file."""
        content = _File(
            format="consilium-bridge-1",
            channel=self.channel,
            bridge=self.terms,
            epoch=self.what if isinstance(self.what, ClosedEpoch) else None,
            decision=self.what if isinstance(self.what, BridgeDecision) else None,
            endorsed=_written(self.endorsed),
        )
        write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Carried:
        """Read and check a file.

        Raises:
            BridgeFileError: it can't be read, or isn't such a file.
            BridgeProofError: its endorsements aren't good, or of something else than it says.
        """
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_File)
        except OSError as error:
            raise BridgeFileError(f"{path} can't be read: {error.strerror}") from None
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise BridgeFileError(f"{path} isn't a file of `consilium evm bridge export`: {error}") from None
        what = found.epoch or found.decision
        if what is None or (found.epoch and found.decision):
            raise BridgeFileError(f"{path} carries neither one epoch nor one decision")
        carried = cls(found.channel, found.bridge, what, _endorsed(found.endorsed))
        carried.check()
        return carried


def _registration(addition: EndorserAddition) -> AddEndorser:
    return EndorserKey.of_certificate(addition.msp_id, from_data(addition.certificate)).registration()


def _written(answer: EndorsedAnswer) -> _Endorsed:
    return _Endorsed(
        payload=as_data(answer.payload),
        channel_header=as_data(answer.channel_header),
        signature_header=as_data(answer.signature_header),
        proposal_payload=as_data(answer.proposal_payload),
        endorsements=tuple(
            _Endorsement(
                organization=each.endorser.msp_id,
                identity=as_data(each.endorser.identity),
                signature=as_data(each.signature),
            )
            for each in answer.endorsements
        ),
    )


def _endorsed(written: _Endorsed) -> EndorsedAnswer:
    return EndorsedAnswer(
        channel_header=from_data(written.channel_header),
        signature_header=from_data(written.signature_header),
        proposal_payload=from_data(written.proposal_payload),
        payload=from_data(written.payload),
        endorsements=tuple(
            Endorsement(EndorserKey.read(from_data(each.identity)), from_data(each.signature))
            for each in written.endorsements
        ),
    )
