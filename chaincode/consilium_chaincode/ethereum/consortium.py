"""Who the hospitals are: the federation's word, asked in the same transaction."""

from __future__ import annotations

from consilium_chaincode.ethereum.contract_parts import FEDERATION_CHAINCODE
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import decode
from consilium_proto.records import Consortium

HOSPITAL = "a hospital of the consortium"


async def hospitals_of(stub: ChaincodeStub) -> tuple[str, ...]:
    """Return the consortium's hospitals.

    Raises:
        ChaincodeError: there is no consortium yet.
    """
    return decode(Consortium, await stub.invoke_chaincode(FEDERATION_CHAINCODE, b"ReadConsortium", b"")).hospitals
