"""Contracts: classes whose marked methods are a chaincode's functions."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, TypeVar

from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.read_only import ReadOnlyStub
from consilium_chaincode.shim.stub import ChaincodeStub

F = TypeVar("F", bound=Callable[..., Awaitable[bytes]])

NOT_FOUND = 404
_MARK = "__chaincode_function__"


def transaction(name: str) -> Callable[[F], F]:
    """Mark a method `async (self, stub, *arguments: bytes) -> bytes` as the chaincode's function `name`."""
    return _marked(name, read_only=False)


def query(name: str) -> Callable[[F], F]:
    """Mark a method as a function that only reads: whatever writes or emits in it is refused."""
    return _marked(name, read_only=True)


def _marked(name: str, *, read_only: bool) -> Callable[[F], F]:
    def mark(method: F) -> F:
        setattr(method, _MARK, (name, read_only))
        return method

    return mark


class Contract:
    """A chaincode. Its functions are found by their marks when the class is made, inherited ones included."""

    name: ClassVar[str] = ""
    _functions: ClassVar[dict[str, tuple[str, bool]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._functions = {
            mark[0]: (attribute, mark[1])
            for attribute, member in inspect.getmembers(cls)
            if (mark := getattr(member, _MARK, None)) is not None
        }

    async def invoke(self, stub: ChaincodeStub) -> bytes:
        """Run the function that the proposal names.

        Raises:
            ChaincodeError: there is no such function, the number of arguments is wrong, or the function rejects.
        """
        found = self._functions.get(stub.function)
        if found is None:
            raise ChaincodeError(f"unknown function {stub.function!r} of {self.name or type(self).__name__}", NOT_FOUND)
        attribute, read_only = found
        method = getattr(self, attribute)
        try:
            inspect.signature(method, follow_wrapped=False).bind(stub, *stub.arguments)
        except TypeError:
            raise ChaincodeError(f"{stub.function} doesn't take {len(stub.arguments)} arguments") from None
        answer = await method(ReadOnlyStub(stub) if read_only else stub, *stub.arguments)
        if not isinstance(answer, bytes):
            raise ChaincodeError(f"{stub.function} returned {type(answer).__name__} instead of bytes", 500)
        return answer
