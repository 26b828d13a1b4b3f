"""Makes what these tests share importable; certificates, ciphertexts and a ledger for an aggregator under test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from aggregator_world import Certificates, World, encrypted_updates
from ledger_double import LedgerDouble


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Every organisation's TLS authority and pair."""
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def world(certificates: Certificates, tmp_path: Path) -> World:
    """A ledger with one study, and an aggregator that isn't started yet."""
    return World(certificates, LedgerDouble(tmp_path / "ledger"), tmp_path / "store")


@pytest.fixture(scope="session", autouse=True)
def _encrypt_once() -> None:
    encrypted_updates()
