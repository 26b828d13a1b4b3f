"""How hospitals, rounds and accounts are named where rewards are counted."""

from __future__ import annotations

import pytest

from consilium_proto.errors import WireError
from consilium_proto.rewards.addresses import read_address, with_checksum
from consilium_proto.rewards.identifiers import hospital_identifier, round_identifier
from consilium_proto.rewards.keccak import keccak256

# The examples of EIP-55, by its kinds: all capital, all lower case, normal.
CHECKSUMMED = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize("address", CHECKSUMMED)
def test_an_address_is_read_with_and_without_its_checksum(address: str) -> None:
    assert with_checksum(address.lower()) == address
    for text in (address, address.lower(), "0x" + address[2:].upper()):
        assert read_address(text) == address.lower()


@pytest.mark.parametrize("address", CHECKSUMMED[4:])
def test_a_mistyped_address_is_noticed(address: str) -> None:
    """A digit, two swapped ones, and one letter of the other case."""
    other = "1" if address[9] != "1" else "2"
    letter = next(place for place in range(2, 42) if address[place].isalpha())
    for text in (
        address[:9] + other + address[10:],
        address[:20] + address[21] + address[20] + address[22:],
        address[:letter] + address[letter].swapcase() + address[letter + 1 :],
    ):
        if text != address:
            with pytest.raises(WireError, match="mistyped"):
                read_address(text)


@pytest.mark.parametrize(
    "text", ["", "0x", CHECKSUMMED[0][2:], CHECKSUMMED[0] + "0", CHECKSUMMED[0][:-1] + "g", "0x" + "１" * 40]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="isn't an address"):
        read_address(text)


def test_no_two_rounds_have_one_identifier() -> None:
    assert hospital_identifier("AlphaMSP") == keccak256(b"AlphaMSP")
    assert round_identifier("heart", 12) == keccak256(b"heart/12")
    names = ["a", "a-1", "a1", "1", "11"]
    found = {round_identifier(name, number) for name in names for number in (1, 11, 111)}
    assert len(found) == len(names) * 3
