"""Methods by name: a part marks its functions with `method`, `method_table` gathers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from consilium_peers.ethereum.rpc.parameters import Parameters

Part = TypeVar("Part")
Function = Callable[[Part, Parameters], Awaitable[object]]
Bound = Callable[[Parameters], Awaitable[object]]
Methods = dict[str, Bound]

_NAMES = "_rpc_method"


def method(name: str, most: int) -> Callable[[Function[Part]], Function[Part]]:
    """Mark a function as a method's, which takes at most so many parameters."""

    def mark(function: Function[Part]) -> Function[Part]:
        async def checked(part: Part, parameters: Parameters) -> object:
            parameters.expect(most)
            return await function(part, parameters)

        checked.__doc__ = function.__doc__
        setattr(checked, _NAMES, name)
        return checked

    return mark


def method_table(*parts: Any) -> Methods:
    """Return all methods of some parts."""
    table: Methods = {}
    for part in parts:
        for attribute in vars(type(part)).values():
            name = getattr(attribute, _NAMES, None)
            if name is not None:
                table[name] = attribute.__get__(part)
    return table
