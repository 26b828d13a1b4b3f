"""Errors of JSON-RPC, with the codes that Ethereum's clients know (JSON-RPC 2.0 section 5.1, EIP-1474), and our own."""

from __future__ import annotations

from consilium_peers.errors import PeersError


class ServingError(PeersError):
    """The server can't run: its address, its folder, or what it was told."""


class StateError(ServingError):
    """The folder of what is known about the channel is another channel's, or another server's."""


class RpcError(PeersError):
    """An answer that is an error.

    Attributes:
        code: the number that programs act on.
        message: the sentence for people.
        data: what else the error carries: of a revert, its bytes.
    """

    code = -32000

    def __init__(self, message: str, data: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    def as_object(self) -> dict[str, object]:
        """Return the error as it stands in an answer."""
        written: dict[str, object] = {"code": self.code, "message": self.message}
        return written if self.data is None else {**written, "data": self.data}


class ParseError(RpcError):
    """The body isn't JSON."""

    code = -32700


class InvalidRequestError(RpcError):
    """The body isn't a request of JSON-RPC 2.0."""

    code = -32600


class UnknownMethodError(RpcError):
    """There is no such method."""

    code = -32601


class InvalidParametersError(RpcError):
    """A parameter is missing, malformed or one too many."""

    code = -32602


class InternalRpcError(RpcError):
    """A defect of ours."""

    code = -32603


class UnavailableError(RpcError):
    """The peers don't answer now; the same question may be answered later."""

    code = -32002


class LimitError(RpcError):
    """More was asked for than one answer holds, or than the server keeps."""

    code = -32005


class RevertError(RpcError):
    """A call or a transaction would revert; `data` is what it would revert with."""

    code = 3
