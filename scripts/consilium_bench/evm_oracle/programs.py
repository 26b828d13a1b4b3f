"""Random programs, biased to run: enough words on the stack, small offsets, jumps that lead somewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from consilium_bench.evm_oracle.assembler import assemble, push, returning

# fmt: off
INTERESTING = (
    0, 1, 2, 3, 31, 32, 33, 64, 100, 255, 256, 257, 1023, 2**64 - 1, 2**128, 2**255 - 1, 2**255, 2**256 - 1, 2**256 - 2,
)
_UNARY = ("ISZERO", "NOT", "CLZ")
_BINARY = (
    "ADD", "MUL", "SUB", "DIV", "SDIV", "MOD", "SMOD", "EXP", "SIGNEXTEND",
    "LT", "GT", "SLT", "SGT", "EQ", "AND", "OR", "XOR", "BYTE", "SHL", "SHR", "SAR",
)
_TERNARY = ("ADDMOD", "MULMOD")
_CONTEXT = (
    "ADDRESS", "ORIGIN", "CALLER", "CALLVALUE", "CALLDATASIZE", "CODESIZE", "GASPRICE", "RETURNDATASIZE", "COINBASE",
    "TIMESTAMP", "NUMBER", "PREVRANDAO", "GASLIMIT", "CHAINID", "SELFBALANCE", "BASEFEE", "BLOBBASEFEE", "PC", "MSIZE",
    "GAS",
)
# fmt: on
_OFFSETS = (0, 0, 1, 5, 31, 32, 33, 64, 96, 200)
_LONGEST = 30


class ProgramWriter:
    """Writes programs that work on, call and create accounts at the given addresses."""

    def __init__(self, random: Random, addresses: Sequence[bytes], number: int) -> None:
        self._random = random
        self._addresses = addresses
        self._number = number
        self._parts: list[tuple[int, Callable[[], bytes]]] = [
            (30, self._arithmetic),
            (8, self._memory),
            (12, self._storage),
            (5, self._transient),
            (4, self._hash),
            (6, self._copy),
            (6, self._context),
            (6, self._account),
            (4, self._log),
            (11, self._call),
            (4, self._create),
            (4, self._stack),
            (4, self._jump),
            (2, self._return_data),
            (2, self._odd),
        ]

    def program(self, longest: int = _LONGEST) -> bytes:
        """Return a program."""
        weights = [weight for weight, _ in self._parts]
        parts = [part for _, part in self._parts]
        count = self._random.randint(1, longest)
        code = b""
        for part in self._random.choices(parts, weights, k=count):
            code += self._jump_over(len(code)) if part == self._jump else part()
        return code + self._end()

    def word(self) -> int:
        """Return a word: an interesting one, a random one, an address."""
        choice = self._random.random()
        if choice < 0.6:
            return self._random.choice(INTERESTING)
        if choice < 0.9:
            return self._random.getrandbits(self._random.choice((8, 16, 64, 160, 256)))
        return self._address()

    def _address(self) -> int:
        return int.from_bytes(self._random.choice(self._addresses), "big")

    def _offset(self) -> int:
        if self._random.random() < 0.01:
            return self._random.choice((1000, 5000, 2**32, 2**256 - 1))
        return self._random.choice(_OFFSETS)

    def _slot(self) -> int:
        return self._random.choice((0, 1, 2, 3)) if self._random.random() < 0.9 else self.word()

    def _kept(self) -> bytes:
        """Return what keeps a result: in memory, in storage, or on the stack."""
        return self._random.choice(
            (
                b"",
                assemble(self._offset(), "MSTORE"),
                assemble(self._offset(), "MSTORE"),
                assemble(self._slot(), "SSTORE"),
            )
        )

    def _arithmetic(self) -> bytes:
        count, names = self._random.choice(((1, _UNARY), (2, _BINARY), (2, _BINARY), (2, _BINARY), (3, _TERNARY)))
        operands = [self.word() for _ in range(count)]
        if self._random.random() < 0.3:
            operands[-1] = self._random.choice((0, 1, 7, 30, 31, 32, 255, 256))
        return assemble(*operands, self._random.choice(names)) + self._kept()

    def _memory(self) -> bytes:
        name = self._random.choice(("MSTORE", "MSTORE", "MSTORE8", "MLOAD", "MCOPY"))
        if name == "MLOAD":
            return assemble(self._offset(), name) + self._kept()
        if name == "MCOPY":
            return assemble(self._offset(), self._offset(), self._offset(), name)
        return assemble(self.word(), self._offset(), name)

    def _storage(self) -> bytes:
        if self._random.random() < 0.35:
            return assemble(self._slot(), "SLOAD") + self._kept()
        return assemble(self._random.choice((0, 0, 1, 2, self.word())), self._slot(), "SSTORE")

    def _transient(self) -> bytes:
        store = assemble(self.word(), self._slot(), "TSTORE") if self._random.random() < 0.6 else b""
        return store + assemble(self._slot(), "TLOAD") + self._kept()

    def _hash(self) -> bytes:
        return assemble(self._offset(), self._offset(), "KECCAK256") + self._kept()

    def _copy(self) -> bytes:
        name = self._random.choice(("CALLDATACOPY", "CODECOPY", "CALLDATALOAD", "EXTCODECOPY"))
        if name == "CALLDATALOAD":
            return assemble(self._random.choice((0, 4, 31, 100, self.word())), name) + self._kept()
        operands = [self._offset(), self._random.choice((0, 1, 33, self.word())), self._offset()]
        return assemble(*operands, *([self._address()] if name == "EXTCODECOPY" else []), name)

    def _context(self) -> bytes:
        choice = self._random.random()
        if choice < 0.15:
            number = self._number + self._random.choice((-300, -257, -256, -255, -2, -1, 0, 1))
            return assemble(self._random.choice((number, self.word())), "BLOCKHASH") + self._kept()
        if choice < 0.2:
            return assemble(self.word(), "BLOBHASH") + self._kept()
        return assemble(self._random.choice(_CONTEXT)) + self._kept()

    def _account(self) -> bytes:
        name = self._random.choice(("BALANCE", "EXTCODESIZE", "EXTCODEHASH"))
        return assemble(self._address() if self._random.random() < 0.9 else self.word(), name) + self._kept()

    def _log(self) -> bytes:
        count = self._random.randint(0, 4)
        return assemble(*(self.word() for _ in range(count)), self._offset(), self._offset(), f"LOG{count}")

    def _call(self) -> bytes:
        name = self._random.choice(("CALL", "CALL", "CALL", "CALLCODE", "DELEGATECALL", "STATICCALL", "STATICCALL"))
        value = self._random.choice((0, 0, 0, 1, 5, 10**30)) if name in ("CALL", "CALLCODE") else None
        gas = assemble("GAS") if self._random.random() < 0.6 else push(self._random.choice((0, 100, 5000, 60_000)))
        ranges = [self._offset() for _ in range(4)]
        operands = [*ranges, *([] if value is None else [value]), self._address()]
        return assemble(*operands) + gas + assemble(name) + self._kept()

    def _create(self) -> bytes:
        init_code = self._init_code()
        store = b"".join(
            assemble(int.from_bytes(init_code[start : start + 32].ljust(32, b"\0"), "big"), start, "MSTORE")
            for start in range(0, len(init_code), 32)
        )
        value = self._random.choice((0, 0, 1, 10**30))
        size = len(init_code) if self._random.random() < 0.97 else self._random.choice((49152, 49153))
        salt = [self._random.choice((0, 1))] if self._random.random() < 0.5 else []
        created = assemble(*salt, size, 0, value, "CREATE2" if salt else "CREATE")
        if self._random.random() < 0.2:
            # Once more: with CREATE2 that is the same address, which is taken.
            created += assemble("POP") + created
        called = assemble("PUSH0 PUSH0 PUSH0 PUSH0", self._random.choice((0, 1)), "DUP6 GAS CALL POP")
        return store + created + (called if self._random.random() < 0.5 else b"") + self._kept()

    def _init_code(self) -> bytes:
        runtime = self._random.choice(
            (
                assemble("CALLER SELFDESTRUCT"),
                assemble("ADDRESS SELFDESTRUCT"),
                assemble(1, 0, "SSTORE", 0, 0, "SSTORE"),
                assemble("TIMESTAMP PUSH0 MSTORE", 32, "PUSH0 RETURN"),
                assemble("CALLVALUE PUSH0 SSTORE"),
                b"\xef",
                b"",
            )
        )
        return self._random.choice(
            (
                returning(runtime),
                returning(runtime),
                assemble(7, 1, "SSTORE") + runtime,
                assemble("CALLER SELFDESTRUCT"),
                assemble(0xAA, "PUSH0 MSTORE8", 5, "PUSH0 REVERT"),
                assemble("GAS PUSH0 SSTORE", 60_000, "PUSH0 RETURN"),
                assemble(24_576, "PUSH0 RETURN"),
                assemble(24_577, "PUSH0 RETURN"),
                b"\xfe",
                b"",
                self._random.randbytes(5),
            )
        )

    def _stack(self) -> bytes:
        name = self._random.choice(("DUP", "SWAP", "POP", "PUSH"))
        if name == "POP":
            return assemble("POP")
        if name == "PUSH":
            # A long immediate, with a byte that looks like a JUMPDEST in it.
            return bytes([0x60 + self._random.randint(0, 31)]) + b"\x5b" * self._random.randint(0, 32)
        return assemble(f"{name}{self._random.choice((1, 1, 1, 2, 2, 3, 4, 16))}")

    def _jump(self) -> bytes:
        return b""

    def _jump_over(self, place: int) -> bytes:
        """Return a conditional jump to its own end, or a loop that runs a few times."""
        if self._random.random() < 0.6:
            head = push(self._random.choice((0, 1)))
            end = place + len(head) + 4
            return head + b"\x61" + end.to_bytes(2, "big") + assemble("JUMPI JUMPDEST")
        head = push(self._random.randint(1, 20))
        start = place + len(head)
        body = assemble("JUMPDEST", 1, "SWAP1 SUB DUP1") + b"\x61" + start.to_bytes(2, "big") + assemble("JUMPI POP")
        return head + body

    def _return_data(self) -> bytes:
        size = self._random.choice((0, 0, 1, 32, self.word()))
        if self._random.random() < 0.5:
            return assemble("RETURNDATASIZE", self._random.choice((0, 0, 1)), self._offset(), "RETURNDATACOPY")
        return assemble(size, self._random.choice((0, 1)), self._offset(), "RETURNDATACOPY")

    def _odd(self) -> bytes:
        return self._random.choice(
            (
                b"\xfe",
                b"\x0c",
                b"\x56",
                b"\x00",
                bytes([self._random.getrandbits(8)]),
                assemble(self._address(), "SELFDESTRUCT"),
                assemble(self._address(), "SELFDESTRUCT"),
                assemble(*[1] * 40),
                assemble(self.word(), "JUMP"),
                self._random.randbytes(8),
            )
        )

    def _end(self) -> bytes:
        choice = self._random.random()
        if choice < 0.55:
            return assemble(self._random.choice((0, 32, 64, 128, 256)), 0, "RETURN")
        if choice < 0.65:
            return assemble(self._offset(), self._offset(), "REVERT")
        if choice < 0.68:
            # Calls itself until gas or depth runs out.
            return assemble("PUSH0 PUSH0 PUSH0 PUSH0 PUSH0 ADDRESS GAS CALL")
        return b""
