"""Resolutions and certificates, and the way of a resolution through approvals into force."""

from __future__ import annotations

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from federation_world import ALPHA, HOSPITALS
from reward_world import RewardsLedger

from consilium_proto.ethereum.resolutions import (
    BridgeAction,
    BridgeDecision,
    BridgeTerms,
    EndorserAddition,
    EvmTerms,
    Resolution,
    ResolutionArgument,
    ResolutionsView,
    RewardLedgerTerms,
)
from consilium_proto.ethereum.scalars import as_data, as_quantity

MAJORITY = HOSPITALS[:3]
CHAIN_ID = 90_210
REWARDS = RewardLedgerTerms(
    token_name="Consilium Reward", token_symbol="CSR", round_cap=as_quantity(10**21), epoch_cap=as_quantity(10**23)
)
BRIDGE_ADDRESS, OTHER_ADDRESS = as_data(bytes([0xB1]) * 20), as_data(bytes([0xB2]) * 20)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def terms(**changes: Any) -> EvmTerms:
    values: dict[str, Any] = {
        "revision": 1,
        "chain_id": CHAIN_ID,
        "gas_cap": 2_500_000,
        "clock_tolerance": 60,
        "block_tolerance": 100,
        "rewards": REWARDS,
    }
    return EvmTerms(**{**values, **changes})


def bridge(**changes: Any) -> BridgeTerms:
    return BridgeTerms(**{"revision": 1, "chain_id": 31_337, "address": BRIDGE_ADDRESS, **changes})


def decision(action: BridgeAction, number: int = 1, bridge: int = 1) -> BridgeDecision:
    return BridgeDecision(bridge=bridge, number=number, action=action)


def certificate(key: Key | None = None) -> bytes:
    """Return a certificate in PEM as a peer's MSP writes it; of a P-256 key unless another is given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer0.alpha.example")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=365))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def addition(pem: bytes | None = None, msp_id: str = ALPHA) -> EndorserAddition:
    return EndorserAddition(msp_id=msp_id, certificate=as_data(pem or certificate()))


def argument(resolution: Resolution) -> ResolutionArgument:
    return ResolutionArgument(resolution=resolution)


class ResolvingLedger(RewardsLedger):
    """A channel with a consortium and both chaincodes, where hospitals resolve."""

    def __init__(self) -> None:
        super().__init__()
        self.found()

    def approve(self, resolution: Resolution, hospital: str = ALPHA) -> None:
        self.submit_evm("Approve", argument(resolution), hospital, "admin")

    def enact(self, resolution: Resolution, hospital: str = ALPHA, role: str = "client") -> None:
        self.submit_evm("Enact", argument(resolution), hospital, role)

    def resolve(self, *resolutions: Resolution) -> None:
        """Have a majority approve each, then enact it."""
        for each in resolutions:
            for hospital in MAJORITY:
                self.approve(each, hospital)
            self.enact(each)

    def resolutions(self) -> ResolutionsView:
        return self.read_evm(ResolutionsView, "ReadResolutions")
