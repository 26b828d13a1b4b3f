"""The bridge's interface: calls, answers, errors, as the contract's artifact describes them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from consilium_peers.ethereum.bridge.libraries import decode_values, encode_values
from consilium_peers.ethereum.errors import BridgeRefusedError, ChainError
from consilium_proto.contracts import REWARD_BRIDGE, Artifact, load_artifact
from consilium_proto.rewards.keccak import keccak256

_SELECTOR_SIZE = 4
# What Solidity itself reverts with: a text, or the number of a failure.
_TEXT, _PANIC = "08c379a0", "4e487b71"

_REASONS = {
    "AlreadyClaimed": "payout {1} of epoch {0} was claimed already",
    "BadChaincode": "another chaincode answered than the one that the bridge was deployed for",
    "BadChannel": "the answer is of another channel than the one that the bridge was deployed for",
    "BadEncoding": "the answer or its proposal isn't encoded as the bridge reads it (at byte {0})",
    "BadFunction": "another function was asked than the one that attests this",
    "BadKind": "the attestation is of another kind ({0})",
    "BadMagic": "what the chaincode answered isn't an attestation",
    "BadProof": "the payout isn't under the epoch's root",
    "BadProposal": "the proposal isn't the one that was endorsed",
    "BadSignature": "the signature of endorser {0} isn't one over this answer",
    "BadSignatures": "the signatures have an odd length ({0} bytes)",
    "BadSize": "the attestation has another size ({0} bytes)",
    "BadThreshold": "a threshold of {0} isn't more than half and at most all of {1} organisations",
    "DecisionOutOfTurn": "decision {0} isn't the next one, which is {1}",
    "EndorserKnown": "the endorser is registered already, under number {0}",
    "EndorserNotActive": "endorser {0} doesn't count (any more)",
    "EndorserUnknown": "the endorser isn't registered",
    "EnforcedPause": "the bridge is paused",
    "EpochAlreadyAccepted": "epoch {0} was accepted already",
    "EpochUnknown": "epoch {0} hasn't been submitted",
    "EpochWasVoided": "this root of epoch {0} was voided",
    "ExpectedPause": "the bridge isn't paused",
    "HighS": "the signature of endorser {0} has its other form, which Fabric doesn't make",
    "MoreThanAttested": "epoch {0} pays no more than was attested",
    "NotEnoughOrganizations": "{0} organisations endorsed and {1} must",
    "OpenToChallenge": "epoch {0} can be challenged until {1}",
    "OrganizationTwice": "an organisation endorsed twice",
    "OtherBridge": "the attestation is for the bridge {0}",
    "OtherChain": "the attestation is for a bridge on chain {0}",
    "OtherChannel": "the attestation is of another channel",
}


class BridgeInterface:
    """Encodes and decodes by the contract's ABI."""

    @classmethod
    @functools.cache
    def shared(cls) -> BridgeInterface:
        """Return the one instance: reading the artifact takes a moment, and it never changes."""
        return cls()

    def __init__(self) -> None:
        self.artifact: Artifact = load_artifact(REWARD_BRIDGE)
        self._functions = {each["name"]: each for each in self.artifact.abi if each["type"] == "function"}
        self._errors = {_selector(each).hex(): each for each in self.artifact.abi if each["type"] == "error"}
        self._constructor = next(each for each in self.artifact.abi if each["type"] == "constructor")

    def creation(self, *arguments: Any) -> bytes:
        """Return what deploys the contract."""
        return self.artifact.creation_code + _encode(self._constructor, arguments)

    def call(self, function: str, *arguments: Any) -> bytes:
        """Return the data of a call."""
        described = self._functions[function]
        return _selector(described) + _encode(described, arguments)

    def answer(self, function: str, data: bytes) -> tuple[Any, ...]:
        """Return the values that a call answered.

        Raises:
            ChainError: not such an answer; there is no bridge at that address.
        """
        types = [_type(each) for each in self._functions[function]["outputs"]]
        try:
            return decode_values(types, data)
        except ValueError:
            raise ChainError(
                f"no bridge at that address: {function} answers {len(data)} bytes, 0x{data[:40].hex()}"
            ) from None

    def refusal(self, data: str) -> BridgeRefusedError:
        """Return what a call or transaction reverted with, in words."""
        raw = bytes.fromhex(data.removeprefix("0x"))
        selector, content = raw[:_SELECTOR_SIZE].hex(), raw[_SELECTOR_SIZE:]
        try:
            if selector in self._errors:
                described = self._errors[selector]
                values = decode_values([_type(each) for each in described["inputs"]], content)
                return BridgeRefusedError(_reason(described["name"], values), described["name"], values)
            if selector == _TEXT:
                return BridgeRefusedError(f"the bridge refuses: {decode_values(['string'], content)[0]}")
        except ValueError:
            pass
        what = f"panic {content.hex()}" if selector == _PANIC else f"0x{raw[:40].hex()}"
        return BridgeRefusedError(f"the bridge refuses without a reason that is known here: {what}")


def _reason(name: str, values: Sequence[Any]) -> str:
    shown = [f"0x{each.hex()}" if isinstance(each, bytes) else str(each) for each in values]
    words = _REASONS[name].format(*shown) if name in _REASONS else ", ".join(shown)
    return f"the bridge refuses: {words} ({name})"


def _selector(described: dict[str, Any]) -> bytes:
    types = ",".join(_type(each) for each in described["inputs"])
    return keccak256(f"{described['name']}({types})".encode())[:_SELECTOR_SIZE]


def _encode(described: dict[str, Any], arguments: Sequence[Any]) -> bytes:
    types = [_type(each) for each in described["inputs"]]
    try:
        return encode_values(types, arguments)
    except ValueError as error:
        raise BridgeRefusedError(f"the bridge can't be told this: {error}") from None


def _type(described: dict[str, Any]) -> str:
    """Return a type in the form in which signatures write it: a tuple by its parts."""
    name = str(described["type"])
    if not name.startswith("tuple"):
        return name
    return f"({','.join(_type(each) for each in described['components'])}){name.removeprefix('tuple')}"
