"""What the ledger of rewards refuses beside the contract's own rules: functions of records."""

from __future__ import annotations

from consilium_chaincode.federation.errors import Refused
from consilium_proto.ethereum.resolutions import RewardLedgerTerms
from consilium_proto.ethereum.rewards import (
    ClaimReport,
    ClosedEpoch,
    PayoutAddressChange,
    PayoutAddressRecord,
    RewardCheck,
    RewardEpochReference,
)
from consilium_proto.ethereum.scalars import from_data, from_quantity
from consilium_proto.refusals import RefusalCode

ADDRESS_PAUSE = 60_000
"""How long, in milliseconds, a hospital's address stays once it was named.

Naming one changes what the end of every rewarded round reads: a hospital that named addresses all the time could keep
rounds from becoming final (`test_an_address_stays_for_a_while`).
"""


def check_credit(check: RewardCheck, rewards: RewardLedgerTerms) -> None:
    """Refuse a reward of nothing, or one above what a round may credit: it would be paid only in part."""
    pot, cap = from_quantity(check.pot), from_quantity(rewards.round_cap)
    if pot == 0:
        raise Refused(RefusalCode.MALFORMED, "the reward of a round is 0; leave the reward out of the study instead")
    if pot > cap:
        raise Refused(
            RefusalCode.UNSAFE_TERMS,
            f"the reward of a round is {pot}, and the ledger of rewards credits at most {cap} for one; offer less",
        )


def check_address_change(change: PayoutAddressChange, existing: PayoutAddressRecord | None, timestamp: int) -> None:
    """Refuse the zero address, and a change too soon after the last one."""
    if not any(from_data(change.account)):
        raise Refused(RefusalCode.MALFORMED, "nobody has the zero address; name one that the hospital holds the key of")
    if existing is not None and timestamp < existing.named_at + ADDRESS_PAUSE:
        wait = -(-(existing.named_at + ADDRESS_PAUSE - timestamp) // 1000)
        raise Refused(
            RefusalCode.NOT_YET,
            f"{existing.hospital} named {existing.account} less than {ADDRESS_PAUSE // 1000} s ago; name "
            f"another in {wait} s",
        )


def check_closing(reference: RewardEpochReference, open_epoch: int, payouts: int) -> None:
    """Refuse to close another epoch than the open one, or one that pays nothing.

    The argument names the epoch, so that two who close it at once don't close two.
    """
    if reference.epoch < open_epoch:
        raise Refused(RefusalCode.ALREADY_WRITTEN, f"epoch {reference.epoch} is closed; {open_epoch} is open")
    if reference.epoch > open_epoch:
        raise Refused(RefusalCode.NOT_YET, f"epoch {open_epoch} is open; close it before {reference.epoch}")
    if payouts == 0:
        raise Refused(RefusalCode.NOT_YET, f"epoch {open_epoch} pays nothing yet, so there is nothing to close")


def check_claim(report: ClaimReport, closed: ClosedEpoch) -> None:
    """Refuse a report about a payout that the epoch doesn't have."""
    if report.index >= len(closed.payouts):
        raise Refused(
            RefusalCode.NOT_FOUND,
            f"epoch {closed.epoch} has {len(closed.payouts)} payouts, counted from 0; there is no {report.index}",
        )
