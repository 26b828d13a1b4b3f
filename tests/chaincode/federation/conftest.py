"""Makes what these tests share importable, and gives each a channel of its own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from federation_ledger import FederationLedger


@pytest.fixture
def channel() -> FederationLedger:
    """A channel with a consortium and an active study that has a key."""
    ledger = FederationLedger()
    ledger.found()
    ledger.start_study()
    return ledger
