"""A frame: one call's stack, memory, gas and place in its code; and the message that it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from consilium_chaincode.evm.code import Code
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.errors import EvmError, StackOverflow
from consilium_chaincode.evm.journal import Checkpoint, Journal
from consilium_chaincode.evm.state_keys import Reading

STACK_LIMIT = 1024
CALL_DEPTH_LIMIT = 1024


@dataclass(slots=True)
class Context:
    """What all frames of a transaction share."""

    environment: Environment
    journal: Journal
    origin: bytes
    gas_price: int


@dataclass(slots=True)
class Message:
    """A call, or the creation of a contract."""

    caller: bytes
    target: bytes
    """Whose storage and balance the code works on."""
    gas: int
    value: int
    data: bytes
    code: bytes
    code_address: bytes | None
    """Where the code lies; None for a creation."""
    depth: int = 0
    transfers_value: bool = True
    """False for DELEGATECALL, which sees its caller's value and moves none."""
    is_static: bool = False
    is_delegated: bool = False
    """The code was found through a delegation (EIP-7702), behind which precompiled contracts are empty ones."""

    @property
    def is_creation(self) -> bool:
        """Whether the code is init code."""
        return self.code_address is None


@dataclass(slots=True)
class Outcome:
    """How a frame ended. `error` is None, a `Reverted` or an `ExceptionalHalt`."""

    gas_left: int
    output: bytes
    error: EvmError | None = None


class Frame:
    """A running message.

    Fixed prices are subtracted from `gas` by each instruction, and the interpreter halts the frame before the next one
    if it fell below zero; prices that depend on operands are taken by `charge_gas` before memory or state is touched.
    """

    __slots__ = (
        "checkpoint",
        "child",
        "code",
        "context",
        "gas",
        "memory",
        "message",
        "output",
        "pc",
        "resume",
        "return_data",
        "running",
        "stack",
    )

    def __init__(self, context: Context, message: Message, code: Code, checkpoint: Checkpoint) -> None:
        self.context = context
        self.message = message
        self.code = code
        self.checkpoint = checkpoint
        self.gas = message.gas
        self.stack: list[int] = []
        self.memory = bytearray()
        self.pc = 0
        self.running = True
        self.output = b""
        self.return_data = b""
        # A message that this frame sent and waits for, and what it does with the outcome.
        self.child: Message | None = None
        self.resume: Callable[[Frame, Outcome], None] | None = None

    def send(self, message: Message, resume: Callable[[Frame, Outcome], None]) -> None:
        """Pause until the interpreter has run a message; `resume` is then called with its outcome."""
        self.child, self.resume, self.running = message, resume, False


def push(frame: Frame, word: int) -> None:
    """Push a word.

    Raises:
        StackOverflow: 1024 words are there.
    """
    stack = frame.stack
    if len(stack) >= STACK_LIMIT:
        raise StackOverflow(f"the stack holds {STACK_LIMIT} words")
    stack.append(word)


Operation: TypeAlias = Callable[[Frame], None]
"""What an instruction does when it needs no state."""
StateOperation: TypeAlias = Callable[[Frame], Reading[None]]
"""What an instruction does that may need state."""
