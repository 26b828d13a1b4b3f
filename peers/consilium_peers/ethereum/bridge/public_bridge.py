"""The bridge's contract as it lies on a public chain: what it holds, and what it would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consilium_peers.ethereum.bridge.chain_node import ChainNode, call_object
from consilium_peers.ethereum.bridge.interface import BridgeInterface
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.errors import BridgeProofError, ChainError
from consilium_proto.ethereum.scalars import as_data
from consilium_proto.rewards.addresses import with_checksum

# A record is one STOP byte, then qx ‖ qy ‖ identity.
_KEY_END = 65


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a bridge is deployed with: for good, but for the threshold."""

    token_name: str
    token_symbol: str
    channel: str
    chaincode: str
    threshold: int
    challenge_delay: int

    def as_tuple(self) -> tuple[str, str, str, str, int, int]:
        """Return the fields as the constructor takes them."""
        return (
            self.token_name,
            self.token_symbol,
            self.channel,
            self.chaincode,
            self.threshold,
            self.challenge_delay,
        )


@dataclass(frozen=True, slots=True)
class EpochOnBridge:
    """An accepted epoch: its root, when it was accepted (seconds since 1970), what is left to pay."""

    root: bytes
    accepted_at: int
    unpaid: int


@dataclass(frozen=True, slots=True)
class RegisteredEndorser:
    """An endorser that the bridge knows: its number, who it is, whether it counts."""

    number: int
    key: EndorserKey
    counts: bool


class PublicBridge:
    """One bridge at one node."""

    def __init__(self, node: ChainNode, address: bytes) -> None:
        self.node = node
        self.address = address
        self._interface = BridgeInterface.shared()

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return the value that one of the contract's getters answers."""
        return self._interface.answer(function, self._call(self._interface.call(function, *arguments), None))[0]

    def check(self, data: bytes, sender: bytes | None = None) -> None:
        """Ask what the contract would do.

        Raises:
            BridgeRefusedError: it would refuse.
        """
        self._call(data, sender)

    def submission(self, arguments: tuple[bytes, ...]) -> bytes:
        """Return the call that takes an epoch over."""
        return self._interface.call("submitEpoch", arguments)

    def carrying_out(self, arguments: tuple[bytes, ...]) -> bytes:
        """Return the call that carries a decision out."""
        return self._interface.call("carryOut", arguments)

    def claiming(self, epoch: int, index: int, account: bytes, amount: int, proof: Sequence[bytes]) -> bytes:
        """Return the call that has a payout made."""
        return self._interface.call("claim", epoch, index, with_checksum(as_data(account)), amount, list(proof))

    def epoch(self, number: int) -> EpochOnBridge | None:
        """Return an accepted epoch, or None."""
        root, accepted_at, unpaid, _ = self.ask("epochRecord", number)
        return EpochOnBridge(root, accepted_at, unpaid) if accepted_at else None

    def balance(self, account: bytes) -> int:
        """Return an account's tokens, in the smallest unit."""
        return int(self.ask("balanceOf", with_checksum(as_data(account))))

    def endorsers(self) -> list[RegisteredEndorser]:
        """Return every endorser that was ever registered, read from the records' code."""
        return [self._endorser(number) for number in range(self.ask("endorserCount"))]

    def numbers(self, keys: Sequence[EndorserKey]) -> Mapping[bytes, int]:
        """Return the numbers of those endorsers that count, by their `identity_hash`."""
        found: dict[bytes, int] = {}
        for key in keys:
            place = self.ask("endorserPlace", key.identity_hash)
            if place and self.ask("organizationOf", place - 1):
                found[key.identity_hash] = place - 1
        return found

    def check_code(self, terms: Deployment, endorsers: Sequence[EndorserKey]) -> None:
        """Check that the code at the address is this contract's, deployed for this channel, chaincode and delay.

        The chain is asked what deploying it would put there, so that no byte is left out.

        Raises:
            BridgeProofError: it is other code.
        """
        data = creation(terms, endorsers)
        try:
            expected = self.node.data("eth_call", call_object(None, data, None), "latest")
        except ChainError as error:
            if error.data:
                raise self._interface.refusal(error.data) from None
            raise
        found = self.node.code(self.address)
        if found != expected:
            raise BridgeProofError(
                f"the code at {with_checksum(as_data(self.address))} isn't that of a bridge for channel "
                f"{terms.channel}, chaincode {terms.chaincode} and a delay of {terms.challenge_delay} s"
                + ("" if found else ": there is no contract")
            )

    def _endorser(self, number: int) -> RegisteredEndorser:
        record = self.node.code(bytes.fromhex(self.ask("recordOf", number)[2:]))
        return RegisteredEndorser(number, EndorserKey.read(record[_KEY_END:]), bool(self.ask("organizationOf", number)))

    def _call(self, data: bytes, sender: bytes | None) -> bytes:
        try:
            return self.node.call(self.address, data, sender)
        except ChainError as error:
            if error.data:
                raise self._interface.refusal(error.data) from None
            raise


def creation(terms: Deployment, endorsers: Sequence[EndorserKey]) -> bytes:
    """Return what deploys a bridge."""
    registrations = []
    for key in endorsers:
        added = key.registration()
        point = (added.qx.to_bytes(32, "big"), added.qy.to_bytes(32, "big"))
        registrations.append((*point, added.msp_id.encode(), added.certificate))
    return BridgeInterface.shared().creation(terms.as_tuple(), registrations)
