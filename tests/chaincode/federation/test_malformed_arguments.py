"""Arguments that nobody expects: whatever comes in, the contract answers with a refusal and writes nothing odd."""

from __future__ import annotations

import json
from typing import Any

from every_function import ARGUMENTS
from federation_ledger import FederationLedger
from federation_world import AGGREGATORS, ALPHA, REGULATOR, STUDY, terms
from hypothesis import given, settings
from hypothesis import strategies as st

from consilium_proto.canonical import encode

values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=80),
        st.sampled_from(("0" * 64, "f" * 64, "A" * 64, ALPHA, STUDY, "heart\n", "x" * 64, "", "\x00")),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None, database=None)
@given(
    function=st.sampled_from(sorted(ARGUMENTS)),
    organization=st.sampled_from((ALPHA, AGGREGATORS[0], REGULATOR)),
    role=st.sampled_from(("client", "admin", "")),
    position=st.integers(0, 20),
    value=values,
    raw=st.one_of(st.none(), st.none(), st.binary(max_size=60)),
)
def test_no_argument_whatever_raises_anything_but_a_refusal(
    function: str, organization: str, role: str, position: int, value: Any, raw: bytes | None
) -> None:
    """`propose` lets everything but a ChaincodeError with a code escape, and what is endorsed can be committed."""
    channel = FUZZED
    record = ARGUMENTS[function]
    argument = record if isinstance(record, bytes) else encode(record)
    if raw is not None:
        argument = raw
    elif argument:
        fields = json.loads(argument)
        name = sorted(fields)[position % len(fields)]
        fields[name] = value
        argument = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    channel.propose(function, argument, organization, role)


def started() -> FederationLedger:
    channel = FederationLedger()
    channel.found()
    channel.start_study(terms())
    channel.open_round()
    return channel


FUZZED = started()
