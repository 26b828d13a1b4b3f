from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from consilium_client import masks
from consilium_client.errors import MaskError, PackingError
from consilium_client.masks import mask_slots, pair_info, public_key_hex
from consilium_proto.chunk_tree import VectorContext, encode_fields

Slots = NDArray[np.uint64]
T = np.uint64(2**48 - 1)
CONTEXT = VectorContext("consilium", "heart", 1, 7, 0, "A", "update")
NO_SLOTS = np.zeros((2, 64), dtype=np.uint64)


def keys(names: str) -> dict[str, X25519PrivateKey]:
    return {name: X25519PrivateKey.generate() for name in names}


def mask(
    slots: Slots, own: dict[str, X25519PrivateKey], name: str, published: Mapping[str, str], context: VectorContext
) -> Slots:
    peers = {peer: key for peer, key in published.items() if peer != name}
    return mask_slots(slots, own[name], name, peers, replace(context, owner=name), 48)


def mask_all(slots: dict[str, Slots], context: VectorContext = CONTEXT) -> dict[str, Slots]:
    own = keys("".join(slots))
    published = {name: public_key_hex(key) for name, key in own.items()}
    return {name: mask(slots[name], own, name, published, context) for name in slots}


@pytest.mark.parametrize("hospitals", [3, 4, 7, 16])
def test_masks_cancel_over_the_full_set_only(hospitals: int) -> None:
    names = "ABCDEFGHIJKLMNOP"[:hospitals]
    generator = np.random.default_rng(hospitals)
    # More slots than one block of the keystream, and not a multiple of it.
    slots = {name: generator.integers(0, 2**48, (9, 4096), dtype=np.uint64) for name in names}
    masked = mask_all(slots)
    for some in range(1, hospitals):
        for subset in list(combinations(names, some))[:20]:
            difference = (sum_of(masked, subset) - sum_of(slots, subset)) & T
            # What is left is a keystream: as good as no slot is right, and every bit is set half of the time.
            assert (difference == 0).mean() < 1e-3
            assert abs(np.unpackbits(difference.view(np.uint8).reshape(-1, 8)[:, :6]).mean() - 0.5) < 0.01
    assert (sum_of(masked, names) == sum_of(slots, names)).all()


def sum_of(slots: dict[str, Slots], names: Iterable[str]) -> Slots:
    total: Slots = np.array([slots[name] for name in names]).sum(axis=0)
    return total & T


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 8), st.integers(1, 3), st.integers(1, 40), st.integers(0, 2**32))
def test_masks_cancel_for_any_shape(hospitals: int, chunks: int, degree: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    names = "ABCDEFGH"[:hospitals]
    slots = {name: generator.integers(0, 2**48, (chunks, degree), dtype=np.uint64) for name in names}
    masked = mask_all(slots)
    assert (sum_of(masked, names) == sum_of(slots, names)).all()
    assert max(int(part.max()) for part in masked.values()) < 2**48


def test_the_slots_given_stay_as_they_are_and_masking_is_repeatable() -> None:
    own = keys("ABC")
    published = {name: public_key_hex(key) for name, key in own.items()}
    slots = np.arange(128, dtype=np.uint64).reshape(2, 64)
    first = mask(slots, own, "A", published, CONTEXT)
    assert (slots == np.arange(128, dtype=np.uint64).reshape(2, 64)).all()
    assert (first == mask(slots, own, "A", dict(reversed(published.items())), CONTEXT)).all()


@pytest.mark.parametrize(
    "change",
    [{"channel": "x"}, {"study": "x"}, {"epoch": 2}, {"round": 8}, {"attempt": 1}, {"label": "gradient"}],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_the_context_gives_another_mask(change: dict[str, object]) -> None:
    own = keys("ABC")
    published = {name: public_key_hex(key) for name, key in own.items()}
    one = mask(NO_SLOTS, own, "A", published, CONTEXT)
    other = mask(NO_SLOTS, own, "A", published, replace(CONTEXT, **change))  # type: ignore[arg-type]
    assert (one == other).mean() < 0.01


def copied_key_attack() -> tuple[Slots, Slots]:
    """K masks with B's key twice, as B's and as M's, who copied it; returns K's slots and what K sends.

    K stands between B and M, so it adds the mask of one and subtracts that of the other.
    """
    own = keys("BKM")
    published = {name: public_key_hex(key) for name, key in own.items()}
    published["M"] = published["B"]
    slots = np.random.default_rng(5).integers(0, 2**48, (4, 4096), dtype=np.uint64)
    return slots, mask(slots, own, "K", published, CONTEXT)


def test_a_hospital_that_copies_a_mask_key_learns_nothing() -> None:
    slots, sent = copied_key_attack()
    assert (slots == sent).mean() < 0.001


def test_without_identities_a_copied_mask_key_would_unmask_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_identities(own_id: str, own_key: str, peer_id: str, peer_key: str, context: VectorContext) -> bytes:
        return encode_fields(context.channel, context.study, context.label, *sorted([own_key, peer_key]))

    monkeypatch.setattr(masks, "pair_info", without_identities)
    slots, sent = copied_key_attack()
    assert (slots == sent).all()


def test_both_of_a_pair_derive_from_the_same_bytes_and_no_other_pair_does() -> None:
    first, second = "11" * 32, "22" * 32
    info = pair_info("A", first, "B", second, CONTEXT)
    assert info == pair_info("B", second, "A", first, replace(CONTEXT, owner="B"))
    others = [
        pair_info("A", second, "B", first, CONTEXT),
        pair_info("A", first, "C", second, CONTEXT),
        pair_info("AB", first, "B", second, CONTEXT),
        pair_info("A", first, "B", second, replace(CONTEXT, channel="consiliumh", study="eart")),
    ]
    assert info not in others


# The points whose order divides Curve25519's cofactor 8, in canonical and other forms.
LOW_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
]


@pytest.mark.parametrize("point", LOW_ORDER)
def test_keys_of_low_order_are_refused(point: str) -> None:
    own = keys("ABC")
    published = {"B": public_key_hex(own["B"]), "C": point}
    with pytest.raises(MaskError, match="mask key of C is of low order"):
        mask_slots(NO_SLOTS, own["A"], "A", published, CONTEXT, 48)


@pytest.mark.parametrize("key", ["", "11", "zz" * 32, "AA" * 32, "11" * 33, "11 " * 32])
def test_malformed_keys_are_refused(key: str) -> None:
    own = keys("ABC")
    with pytest.raises(MaskError, match="mask key of C is malformed"):
        mask_slots(NO_SLOTS, own["A"], "A", {"B": public_key_hex(own["B"]), "C": key}, CONTEXT, 48)


def test_masks_that_would_not_protect_are_refused() -> None:
    own = keys("ABC")
    published = {name: public_key_hex(key) for name, key in own.items()}
    others = {name: key for name, key in published.items() if name != "A"}
    with pytest.raises(MaskError, match="at least 2 other hospitals, not 1"):
        mask_slots(NO_SLOTS, own["A"], "A", {"B": published["B"]}, CONTEXT, 48)
    with pytest.raises(MaskError, match="A is listed among its own peers"):
        mask_slots(NO_SLOTS, own["A"], "A", published, CONTEXT, 48)
    with pytest.raises(MaskError, match="belongs to B, not to A"):
        mask_slots(NO_SLOTS, own["A"], "A", others, replace(CONTEXT, owner="B"), 48)
    with pytest.raises(PackingError, match="slot 0"):
        mask_slots(NO_SLOTS + np.uint64(2**48), own["A"], "A", others, CONTEXT, 48)
    with pytest.raises(MaskError, match="-1"):
        mask_slots(NO_SLOTS, own["A"], "A", others, replace(CONTEXT, round=-1), 48)
