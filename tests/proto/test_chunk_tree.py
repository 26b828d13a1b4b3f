import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium_proto.chunk_tree import (
    InclusionProof,
    VectorContext,
    check_inclusion,
    check_root,
    chunk_digest,
    encode_fields,
    inclusion_proof,
    tree_root,
)
from consilium_proto.errors import TreeMismatchError, WireError

CONTEXT = VectorContext("consilium", "heart", 1, 7, 0, "ClevelandMSP", "update")
KNOWN_CONTEXT = (
    "7400000012636f6e73696c69756d2f766563746f722f317400000009636f6e73696c69756d740000000568656172746e"
    "0000000800000000000000016e0000000800000000000000076e000000080000000000000000740000000c436c657665"
    "6c616e644d53507400000006757064617465"
)
KNOWN_ROOTS = {
    1: "08fbfddc94bd1b15db147d0862782cb39c50758648b78ee7e77ed4a1af91202b",
    2: "77774d1b42b89642c2ae022516ea2a2fad450806c0795ca02ae20ace7647736c",
    3: "3c08fd5c2b1121b8e855ffb55c786969fa3e914a204d63c8b4e2d1d92f544200",
    7: "888a00999e71b75965911a34e4ba8a834a5eb6ead21cd0ee9b66767798986496",
    8: "da4378f258581dc99e4b6dd778fdca6ae8156534d3fe0b5d9f424c852e60952e",
    100: "1ca137ea7a77c34b101c44f10f3b5106466d1639bb3dd2ea78c9f2ac2e0503a7",
}


def digests(count: int) -> list[bytes]:
    return [chunk_digest(b"chunk %d" % index) for index in range(count)]


def reference_root(context: VectorContext, leaves: list[bytes]) -> str:
    """RFC 6962, section 2.1, as its text defines it: recursive, split at the largest power of two below n."""

    def head(nodes: list[bytes]) -> bytes:
        if len(nodes) == 1:
            return nodes[0]
        split = 1 << (len(nodes) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + head(nodes[:split]) + head(nodes[split:])).digest()

    encoded = context.encode()
    hashed = [hashlib.sha256(b"\x00" + encode_fields(encoded, i, leaf)).digest() for i, leaf in enumerate(leaves)]
    return hashlib.sha256(b"\x02" + encode_fields(encoded, len(leaves), head(hashed))).hexdigest()


def test_known_roots_stay_what_they_are() -> None:
    assert CONTEXT.encode().hex() == KNOWN_CONTEXT
    assert {count: tree_root(CONTEXT, digests(count)) for count in KNOWN_ROOTS} == KNOWN_ROOTS


@pytest.mark.parametrize("count", [*range(1, 34), 63, 64, 65, 1000])
def test_roots_follow_rfc_6962(count: int) -> None:
    assert tree_root(CONTEXT, iter(digests(count))) == reference_root(CONTEXT, digests(count))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33])
def test_every_chunk_has_a_proof_for_its_place_only(count: int) -> None:
    leaves = digests(count)
    root = tree_root(CONTEXT, leaves)
    check_root(root, CONTEXT, leaves)
    for index in range(count):
        proof = inclusion_proof(CONTEXT, leaves, index)
        check_inclusion(root, CONTEXT, leaves[index], proof)
        for other in range(count):
            if other != index:
                with pytest.raises(TreeMismatchError):
                    check_inclusion(root, CONTEXT, leaves[index], replace(proof, index=other))
                with pytest.raises(TreeMismatchError):
                    check_inclusion(root, CONTEXT, leaves[other], proof)


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "other"},
        {"study": "lung"},
        {"epoch": 2},
        {"round": 8},
        {"attempt": 1},
        {"owner": "HungaryMSP"},
        {"label": "sum"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_copied_root_cannot_be_filled_elsewhere(change: dict[str, object]) -> None:
    leaves = digests(5)
    root, proof = tree_root(CONTEXT, leaves), inclusion_proof(CONTEXT, leaves, 2)
    elsewhere = replace(CONTEXT, **change)  # type: ignore[arg-type]
    with pytest.raises(TreeMismatchError):
        check_root(root, elsewhere, leaves)
    with pytest.raises(TreeMismatchError):
        check_inclusion(root, elsewhere, leaves[2], proof)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 8])
def test_tampered_vectors_have_other_roots(count: int) -> None:
    leaves = digests(count)
    root = tree_root(CONTEXT, leaves)
    changed = [*leaves[:-1], chunk_digest(b"forged")]
    tampered = [[*leaves, leaves[-1]], changed, [*leaves, chunk_digest(b"more")]]
    if count > 1:
        tampered += [leaves[:-1], leaves[::-1], [leaves[1], leaves[0], *leaves[2:]]]
    for wrong in tampered:
        with pytest.raises(TreeMismatchError, match=root):
            check_root(root, CONTEXT, wrong)


def test_tampered_proofs_are_refused() -> None:
    leaves = digests(6)
    root, proof = tree_root(CONTEXT, leaves), inclusion_proof(CONTEXT, leaves, 4)
    flipped = bytes([proof.path[0][0] ^ 1]) + proof.path[0][1:]
    for wrong, why in [
        (replace(proof, path=proof.path[:-1]), "too short"),
        (replace(proof, path=(*proof.path, proof.path[0])), "too long"),
        (replace(proof, path=(flipped, *proof.path[1:])), "isn't under root"),
        (replace(proof, count=5), "chunk 4"),
        (replace(proof, count=7), "chunk 4"),
        (replace(proof, count=4), "can't be"),
        (replace(proof, index=-1), "can't be"),
        (InclusionProof(0, 2**60, ()), "can't be"),
    ]:
        with pytest.raises(TreeMismatchError, match=why):
            check_inclusion(root, CONTEXT, leaves[4], wrong)


def test_malformed_input_is_refused() -> None:
    with pytest.raises(WireError, match="at least one chunk"):
        tree_root(CONTEXT, [])
    with pytest.raises(WireError, match="chunk 1 has 31 bytes"):
        tree_root(CONTEXT, [bytes(32), bytes(31)])
    with pytest.raises(WireError, match="no chunk 3 among 3"):
        inclusion_proof(CONTEXT, digests(3), 3)
    with pytest.raises(WireError, match="owner is empty"):
        tree_root(replace(CONTEXT, owner=""), digests(1))
    with pytest.raises(WireError, match="-1"):
        tree_root(replace(CONTEXT, round=-1), digests(1))


fields = st.lists(st.one_of(st.text(), st.integers(0, 2**64 - 1), st.binary()), max_size=5)


@given(fields, fields)
def test_different_fields_have_different_bytes(one: list[str | int | bytes], other: list[str | int | bytes]) -> None:
    assert (encode_fields(*one) == encode_fields(*other)) == (one == other)


def test_text_cannot_move_between_fields() -> None:
    assert encode_fields("ab", "c") != encode_fields("a", "bc")
    assert encode_fields("a") != encode_fields(b"a")
    shifted = replace(CONTEXT, channel="consiliumheart", study="x")
    assert shifted.encode() != replace(CONTEXT, channel="consilium", study="heartx").encode()
