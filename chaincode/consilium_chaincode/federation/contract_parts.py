"""What every function of the federation contract shares: its argument, its caller, its time, its refusals."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from consilium_chaincode.federation import state_keys
from consilium_chaincode.federation.callers import READERS, WRITERS, Caller
from consilium_chaincode.federation.deadlines import check_clock
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.access_roles import ROLE_ATTRIBUTE, AccessRole
from consilium_proto.canonical import Record, decode
from consilium_proto.errors import WireError
from consilium_proto.records import Consortium
from consilium_proto.refusals import RefusalCode, refusal_message

C = TypeVar("C", bound="ContractPart")
A = TypeVar("A", bound=Record)
Typed = Callable[[C, ChaincodeStub, A], Awaitable[bytes]]
Raw = Callable[[C, ChaincodeStub, bytes], Awaitable[bytes]]

MSP_ID = re.compile(r"[A-Za-z][A-Za-z0-9.-]{0,62}")
"""As `consilium_proto.records.MspId`: what else a channel may call an organisation can't be part of a key."""

CORRUPT_STATUS = 500


class ContractPart(Contract):
    """A group of the federation's functions. `clock` returns this endorser's time in milliseconds since 1970."""

    name = "federation"

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__()
        self._clock = clock

    def timestamp(self, stub: ChaincodeStub, tolerance: int) -> int:
        """Return the transaction's timestamp once it is within `tolerance` seconds of this endorser's clock."""
        check_clock(stub.timestamp, self._clock(), tolerance)
        return stub.timestamp


def caller_of(stub: ChaincodeStub, *roles: str) -> Caller:
    """Return who signed a write, once the certificate is found to have one of the roles and not to be a reader's."""
    caller = _signer(stub)
    caller.require_role(*roles)
    caller.require_access(WRITERS)
    return caller


def check_any_reader(stub: ChaincodeStub) -> None:
    """Refuse a query by a certificate whose attribute says something unknown; anyone else in the channel may ask."""
    _signer(stub).require_access(READERS)


async def check_reader(stub: ChaincodeStub, *others: str, roles: Collection[AccessRole] = READERS) -> None:
    """Refuse a query by who has neither one of the attribute's roles nor an organisation that takes part.

    That is a hospital or aggregator of the consortium, or one of `others`: who has left the consortium still reads
    what it took part in.
    """
    consortium = await LedgerState(stub).read(Consortium, state_keys.consortium())
    members = () if consortium is None else (*consortium.hospitals, *consortium.aggregators)
    _signer(stub).require_known(roles, {*members, *others})


def _signer(stub: ChaincodeStub) -> Caller:
    creator = stub.creator
    if not MSP_ID.fullmatch(creator.msp_id):
        raise Refused(RefusalCode.FORBIDDEN, f"{creator.msp_id!r} can't be an organisation of the consortium")
    return Caller(organization=creator.msp_id, role=creator.role, access=creator.attributes.get(ROLE_ATTRIBUTE))


def takes(kind: type[A]) -> Callable[[Typed[C, A]], Raw[C]]:
    """Decode the function's one argument as a record of `kind`, and answer every refusal as a ChaincodeError."""

    def wrap(function: Typed[C, A]) -> Raw[C]:
        @functools.wraps(function)
        async def answered(self: C, stub: ChaincodeStub, argument: bytes) -> bytes:
            try:
                record = decode(kind, argument)
            except WireError as error:
                raise ChaincodeError(refusal_message(RefusalCode.MALFORMED, str(error))) from None
            return await answer(function(self, stub, record))

        return answered

    return wrap


def check_empty(argument: bytes) -> None:
    """Refuse an argument of a function that takes none."""
    if argument:
        raise ChaincodeError(refusal_message(RefusalCode.MALFORMED, f"{len(argument)} bytes; this function takes none"))


async def answer(outcome: Awaitable[bytes]) -> bytes:
    """Wait for a function's answer, and turn its refusals into ChaincodeErrors."""
    try:
        return await outcome
    except Refused as refused:
        raise ChaincodeError(refusal_message(refused.code, refused.explanation)) from None
    except WireError as error:
        # Arguments are decoded before; what can't be read here is the ledger's.
        raise ChaincodeError(f"a record on the ledger can't be read: {error}", CORRUPT_STATUS) from None
