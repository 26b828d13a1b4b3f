"""The EVM's terms as administrators write them: YAML, rewards in whole tokens."""

from __future__ import annotations

from pathlib import Path

import msgspec

from consilium_peers.ethereum.errors import TermsFileError
from consilium_proto.errors import WireError
from consilium_proto.ethereum.amounts import amount_of_tokens
from consilium_proto.ethereum.resolutions import EvmTerms, RewardLedgerTerms


class _Rewards(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    token_name: str
    token_symbol: str
    round_cap: str | int
    epoch_cap: str | int


class _Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    revision: int
    chain_id: int
    gas_cap: int
    clock_tolerance: int
    block_tolerance: int
    rewards: _Rewards | None = None


def load_terms_file(path: Path) -> EvmTerms:
    """Read the EVM's terms from a file.

    Raises:
        TermsFileError: it can't be read, or has a field that is missing, unknown or out of range. The message names
            file and field.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise TermsFileError(f"can't read the EVM's terms {path}: {error.strerror}") from None
    return parse_terms(text, str(path))


def parse_terms(text: bytes, source: str) -> EvmTerms:
    """Read the EVM's terms from a file's text; `source` names it in errors."""
    try:
        written = msgspec.yaml.decode(text, type=_Terms)
        fields = msgspec.structs.asdict(written)
        return msgspec.convert({**fields, "type": "evm-terms", "rewards": _rewards(written.rewards)}, EvmTerms)
    except (msgspec.DecodeError, msgspec.ValidationError, WireError) as error:
        raise TermsFileError(f"{source}: {' '.join(str(error).split())}") from None


def _rewards(written: _Rewards | None) -> RewardLedgerTerms | None:
    if written is None:
        return None
    caps = {name: amount_of_tokens(str(getattr(written, name))) for name in ("round_cap", "epoch_cap")}
    return msgspec.convert({**msgspec.structs.asdict(written), **caps}, RewardLedgerTerms)
