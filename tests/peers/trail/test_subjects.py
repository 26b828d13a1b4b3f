"""What calls are about: any argument can be on the ledger, in an invalid transaction, and none may stop a reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium_trail.subjects import NOTHING, Subject, subject_of

DEEP = 200_000


def test_study_and_round_are_found_among_much_else() -> None:
    assert subject_of((b'{"phase":[1],"round":3,"study":"heart"}',)) == Subject("heart", 3)
    assert subject_of((b'{"study":"heart"}',)) == Subject("heart")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (b"",),
        (b"{}", b"{}"),
        (b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"}",),
        (b'{"x":' * DEEP + b"1" + b"}" * DEEP,),
        (b'{"study":1}',),
        (b'{"round":"1"}',),
        (b'{"round":' + b"9" * 10_000 + b"}",),
        (b"\xff\xfe",),
        (b"[1,2]",),
    ],
    ids=["none", "empty", "two", "deep lists", "deep objects", "number", "text", "huge number", "no text", "a list"],
)
def test_anything_else_names_nothing(arguments: tuple[bytes, ...]) -> None:
    assert subject_of(arguments) == NOTHING


@given(st.binary(max_size=200))
def test_no_argument_raises(argument: bytes) -> None:
    assert isinstance(subject_of((argument,)), Subject)
