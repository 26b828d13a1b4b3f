from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec.structs import replace

from consilium_client.errors import KeyEpochError
from consilium_client.key_epochs import commitment, new_epoch, unwrap
from consilium_client.masks import public_key_hex
from consilium_proto import canonical
from consilium_proto.records import KeyEpoch, WrappedKey

HOSPITALS = ("ClevelandMSP", "HungaryMSP", "SwitzerlandMSP")
KEYS = {name: X25519PrivateKey.generate() for name in HOSPITALS}
WRAPPING = {name: public_key_hex(key) for name, key in KEYS.items()}
RECORD, SEED = new_epoch("heart", 1, WRAPPING)


def test_every_holder_opens_the_same_seed() -> None:
    assert [unwrap(RECORD, name, KEYS[name]) for name in HOSPITALS] == [SEED] * 3
    assert len(SEED) == 64


def test_the_record_is_one_that_the_ledger_takes() -> None:
    assert canonical.decode(KeyEpoch, canonical.encode(RECORD)) == RECORD
    assert [wrapped.holder for wrapped in RECORD.holders] == sorted(HOSPITALS)
    assert SEED.hex() not in canonical.encode(RECORD).decode()


def test_every_epoch_has_a_seed_and_sealings_of_its_own() -> None:
    again, seed = new_epoch("heart", 1, WRAPPING)
    assert seed != SEED
    assert again.commitment != RECORD.commitment
    every = [*RECORD.holders, *again.holders]
    assert len({wrapped.encapsulated for wrapped in every}) == len({wrapped.ciphertext for wrapped in every}) == 6


def test_the_commitment_binds_study_and_epoch() -> None:
    assert RECORD.commitment == commitment("heart", 1, SEED)
    assert len({commitment(study, epoch, SEED) for study in ("heart", "lung") for epoch in (1, 2)}) == 4


def flip(text: str) -> str:
    return f"{int(text[0], 16) ^ 1:x}" + text[1:]


def with_first(change: Callable[[WrappedKey], WrappedKey]) -> KeyEpoch:
    first, *rest = RECORD.holders
    return replace(RECORD, holders=(change(first), *rest))


@pytest.mark.parametrize(
    "changed",
    [
        replace(RECORD, study="lung"),
        replace(RECORD, epoch=2),
        with_first(lambda wrapped: replace(wrapped, ciphertext=flip(wrapped.ciphertext))),
        with_first(lambda wrapped: replace(wrapped, encapsulated=flip(wrapped.encapsulated))),
        with_first(lambda wrapped: replace(wrapped, encapsulated="00" * 32)),
    ],
    ids=["study", "epoch", "ciphertext", "encapsulated", "low order"],
)
def test_what_was_sealed_for_something_else_does_not_open(changed: KeyEpoch) -> None:
    with pytest.raises(KeyEpochError, match="doesn't open with ClevelandMSP's wrapping key"):
        unwrap(changed, "ClevelandMSP", KEYS["ClevelandMSP"])


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(KeyEpochError, match="doesn't open with ClevelandMSP's wrapping key"):
        unwrap(RECORD, "ClevelandMSP", KEYS["HungaryMSP"])


def test_one_holders_sealing_cannot_be_passed_off_as_anothers() -> None:
    """Both holders use one key here, so that only the identity in the info can tell the sealings apart."""
    shared = dict.fromkeys(HOSPITALS, WRAPPING["ClevelandMSP"])
    record, _ = new_epoch("heart", 1, shared)
    first, second, third = record.holders
    swapped = replace(
        record, holders=(replace(second, holder=first.holder), replace(first, holder=second.holder), third)
    )
    with pytest.raises(KeyEpochError, match="doesn't open"):
        unwrap(swapped, "ClevelandMSP", KEYS["ClevelandMSP"])


def test_a_seed_that_is_not_the_committed_one_is_refused() -> None:
    other, _ = new_epoch("heart", 1, WRAPPING)
    with pytest.raises(KeyEpochError, match="seals another key to HungaryMSP than it commits to"):
        unwrap(replace(other, commitment=RECORD.commitment), "HungaryMSP", KEYS["HungaryMSP"])
    mixed = replace(RECORD, holders=(RECORD.holders[0], other.holders[1], RECORD.holders[2]))
    assert unwrap(mixed, "ClevelandMSP", KEYS["ClevelandMSP"]) == SEED
    with pytest.raises(KeyEpochError, match="than it commits to"):
        unwrap(mixed, "HungaryMSP", KEYS["HungaryMSP"])


def test_who_is_no_holder_or_listed_twice_is_told_so() -> None:
    with pytest.raises(KeyEpochError, match="sealed to LongBeachMSP 0 times, not once"):
        unwrap(RECORD, "LongBeachMSP", KEYS["ClevelandMSP"])
    with pytest.raises(KeyEpochError, match="sealed to ClevelandMSP 2 times"):
        unwrap(replace(RECORD, holders=RECORD.holders + RECORD.holders[:1]), "ClevelandMSP", KEYS["ClevelandMSP"])


@pytest.mark.parametrize("key", ["", "zz" * 32, "11" * 31, "00" * 32, "01" + "00" * 31])
def test_wrapping_keys_that_protect_nothing_are_refused(key: str) -> None:
    with pytest.raises(KeyEpochError, match="wrapping key of HungaryMSP is malformed or of low order"):
        new_epoch("heart", 1, {**WRAPPING, "HungaryMSP": key})


def test_errors_never_show_the_seed() -> None:
    for record, key in [(replace(RECORD, epoch=2), KEYS["HungaryMSP"]), (RECORD, KEYS["ClevelandMSP"])]:
        with pytest.raises(KeyEpochError) as caught:
            unwrap(record, "HungaryMSP", key)
        assert SEED.hex() not in str(caught.value)
        assert caught.value.__cause__ is None
