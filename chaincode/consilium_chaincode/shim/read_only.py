"""A stub that refuses to write: what queries get."""

from __future__ import annotations

from typing import Any, NoReturn

from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.stub import ChaincodeStub

_WRITES = frozenset(
    {"put_state", "delete_state", "purge_private", "set_validation_parameter", "set_event", "invoke_chaincode"}
)


class ReadOnlyStub:
    """Passes everything on to another stub, except what writes or emits."""

    def __init__(self, stub: ChaincodeStub) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> Any:
        if name in _WRITES:
            return self._refuse(name)
        return getattr(self._stub, name)

    def _refuse(self, name: str) -> Any:
        def refuse(*_: object, **__: object) -> NoReturn:
            raise ChaincodeError(f"{self._stub.function} is a query and can't {name}", 500)

        return refuse
