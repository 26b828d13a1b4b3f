"""The endorser's own height, from its peer's metrics over mutual TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consilium_chaincode.ethereum.heights import METRICS_VARIABLE, PeerMetrics
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_network.certificates import Authority
from consilium_network.layout import KeyPair

METRICS = """# TYPE ledger_blockchain_height gauge
ledger_blockchain_height{channel="another"} 9
ledger_blockchain_height{channel="studies"} 1.234567e+06
ledger_transaction_count{channel="studies"} 3
"""


class MetricsServer:
    """A peer's operations service, reduced to its metrics."""

    def __init__(self) -> None:
        self.reply = f"HTTP/1.0 200 OK\r\n\r\n{METRICS}"
        self.asked = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.reply.encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(folder: Path, trusted: Authority, patch: pytest.MonkeyPatch) -> AsyncIterator[MetricsServer]:
    """Serve metrics to whoever has a certificate of `trusted`, and set the service's environment."""
    own = Authority.create("own TLS", "ClevelandMSP")
    for name, hosts in (("peer", ("localhost",)), ("service", ())):
        (folder / name).mkdir()
        own.tls(name, hosts, 1).save(KeyPair.within(folder / name))
    (folder / "own.pem").write_bytes(own.issued.certificate_pem())
    (folder / "trusted.pem").write_bytes(trusted.issued.certificate_pem() + own.issued.certificate_pem())
    peer, service = KeyPair.within(folder / "peer"), KeyPair.within(folder / "service")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "trusted.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(peer.certificate, peer.private_key)
    metrics = MetricsServer()
    server = await asyncio.start_server(metrics.answer, "localhost", 0, ssl=context)
    patch.setenv(METRICS_VARIABLE, f"localhost:{server.sockets[0].getsockname()[1]}")
    patch.setenv("CHAINCODE_TLS_CERT", str(service.certificate))
    patch.setenv("CHAINCODE_TLS_KEY", str(service.private_key))
    patch.setenv("CHAINCODE_TLS_CLIENT_CA", str(folder / "own.pem"))
    async with server:
        yield metrics


async def test_heights_come_from_the_metrics_and_stay_for_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, Authority.create("monitor", "supervisor"), monkeypatch) as server:
        heights = PeerMetrics()
        assert [await heights.height(each) for each in ("studies", "another", "studies")] == [1_234_567, 9, 1_234_567]
        assert server.asked == 1
        with pytest.raises(ChaincodeError, match="no height of channel unknown"):
            await heights.height("unknown")


async def test_without_an_answer_there_is_no_height(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, Authority.create("monitor", "supervisor"), monkeypatch) as server:
        server.reply = "HTTP/1.0 503 Service Unavailable\r\n\r\n"
        with pytest.raises(ChaincodeError, match="503 Service Unavailable"):
            await PeerMetrics().height("studies")
        # A server of another hospital, whose certificate isn't of this one's root.
        stranger = tmp_path / "stranger.pem"
        stranger.write_bytes(Authority.create("other TLS", "HungaryMSP").issued.certificate_pem())
        monkeypatch.setenv("CHAINCODE_TLS_CLIENT_CA", str(stranger))
        with pytest.raises(ChaincodeError, match="certificate verify failed"):
            await PeerMetrics().height("studies")
    with pytest.raises(ChaincodeError, match="the peer's metrics at localhost"):
        await PeerMetrics().height("studies")
    monkeypatch.delenv(METRICS_VARIABLE)
    with pytest.raises(ChaincodeError, match=f"{METRICS_VARIABLE} isn't set"):
        await PeerMetrics().height("studies")
