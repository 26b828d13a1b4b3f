"""Why a transaction is refused, before it becomes the chaincode's answer."""

from __future__ import annotations

from consilium_proto.refusals import RefusalCode, refusal_message


class Refused(Exception):
    """A transaction that the federation's rules don't allow. `code` is stable; the text says what to do."""

    def __init__(self, code: RefusalCode, explanation: str) -> None:
        super().__init__(refusal_message(code, explanation))
        self.code = code
        self.explanation = explanation
