"""A hospital whose signing key rests in a PKCS#11 token, on the real network."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import uuid
from pathlib import Path

import pytest
import yaml
from patience import SETTLING_SECONDS
from soft_token import SoftToken

from consilium_network.network import Network
from consilium_peers.errors import EndorseError
from consilium_peers.gateway import Gateway
from consilium_peers.profile import CertificateAndToken, Profile

pytestmark = pytest.mark.network


@pytest.fixture
def profile(network: Network, soft_token: SoftToken, tmp_path: Path) -> Profile:
    """Cleveland's client, its files copied to where there is no private key."""
    path = network.profile("cleveland")
    document = yaml.safe_load(path.read_text())
    soft_token.import_signing_key(path.parent / document["identity"].pop("private_key"), "msp")
    kept = tmp_path / "cert.pem"
    shutil.copyfile(path.parent / document["identity"]["certificate"], kept)
    document = _absolute(document, path.parent)
    document["identity"] |= {"certificate": str(kept), "pkcs11": soft_token.fields("msp")}
    (tmp_path / "client.yaml").write_text(yaml.safe_dump(document))
    return Profile.load(tmp_path / "client.yaml")


def _absolute(value: object, base: Path) -> object:
    """Return the profile with every path in it made absolute."""
    if isinstance(value, dict):
        return {name: _absolute(each, base) for name, each in value.items()}
    if isinstance(value, list):
        return [_absolute(each, base) for each in value]
    if isinstance(value, str) and value.endswith((".pem", "priv_sk")):
        return os.path.normpath(base / value)
    return value


async def test_a_transaction_signed_in_a_token_commits(network: Network, profile: Profile, probe: str) -> None:
    """Proposal, transaction, commit status and event stream are all signed by the token."""
    assert isinstance(profile.identity, CertificateAndToken)
    key = uuid.uuid4().hex[:12].encode()
    async with Gateway.connect(profile) as gateway:
        contract = gateway.network().contract(probe)
        for number in range(4):  # a high s would be refused, and half of the raw signatures have one
            await contract.submit("Put", key, str(number).encode())
        block = (await contract.submit("Emit", b"Signed", key)).block
        async with asyncio.timeout(SETTLING_SECONDS):
            async for event in gateway.network().chaincode_events(probe, start_block=block):
                if event.payload == key:
                    break
    async with Gateway.connect(Profile.load(network.profile("hungary"))) as gateway:
        deadline = time.monotonic() + SETTLING_SECONDS
        while await gateway.network().contract(probe).evaluate("Get", key) != b"3":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_a_transaction_survives_a_token_that_was_away(
    profile: Profile, probe: str, soft_token: SoftToken
) -> None:
    async with Gateway.connect(profile) as gateway:
        contract = gateway.network().contract(probe)
        soft_token.reconnect()
        with pytest.raises(EndorseError, match="not now"):
            await contract.submit("Reject", b"WRONG_PHASE: not now")  # refused by the contract, not for its signature
        await contract.submit("Put", uuid.uuid4().hex[:12].encode(), b"after it came back")
