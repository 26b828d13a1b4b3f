"""The federation contract as a quorum of dishonest hospitals would run it: it writes another mask key than was sent."""

from __future__ import annotations

from typing import Any, cast

from msgspec.structs import replace

from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto import canonical
from consilium_proto.records import Join

# The public half of a key that the liars hold (RFC 7748, 6.1): whoever masks against it masks for them.
LIARS_KEY = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
DECEIVED = "HungaryMSP"


class LyingFederation(FederationContract):
    """Lies about one hospital's `Join`; everything else is as it should be."""

    async def invoke(self, stub: ChaincodeStub) -> bytes:
        lies = stub.function == "Join" and stub.creator.msp_id == DECEIVED
        return await super().invoke(cast(ChaincodeStub, _ForgingStub(stub)) if lies else stub)


class _ForgingStub:
    """Passes everything on to another stub, but a join with the liars' key."""

    def __init__(self, stub: ChaincodeStub) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stub, name)

    async def put_state(self, key: str, value: bytes) -> None:
        forged = replace(canonical.decode(Join, value), mask_key=LIARS_KEY)
        await self._stub.put_state(key, canonical.encode(forged))
