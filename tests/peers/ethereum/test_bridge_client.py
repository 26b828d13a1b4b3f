"""The bridge's client without a chain: keys, answers of nodes that aren't as they should be, errors in words, files."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from eth_abi import encode
from eth_account import Account

import consilium_command
from consilium_peers.ethereum.bridge.account import KEY_VARIABLE, load_account
from consilium_peers.ethereum.bridge.chain_node import ChainNode
from consilium_peers.ethereum.bridge.interface import _REASONS, BridgeInterface
from consilium_peers.ethereum.errors import (
    AccountError,
    BridgeRefusedError,
    ChainError,
    MissingLibraryError,
    TermsFileError,
)
from consilium_peers.ethereum.resolution_file import load_resolution_file, write_resolution_file
from consilium_proto.ethereum.resolutions import (
    BridgeDecision,
    BridgeTerms,
    EndorserAddition,
    EvmTerms,
    Pausing,
    Resolution,
)
from consilium_proto.ethereum.scalars import as_data

KEY = "ab" * 32
ADDRESS = Account.from_key(KEY).address


def never() -> str:
    raise AssertionError("asked for a passphrase")


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)
    return path


# ---- who pays


@pytest.mark.parametrize("text", [KEY, f"0x{KEY}", f"{KEY.upper()}\n"])
def test_a_key_is_read_from_a_private_file(tmp_path: Path, text: str) -> None:
    assert load_account(private(tmp_path / "key", text), None, never).address == ADDRESS


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(AccountError, match=rf"others may read it \(mode 0{mode:o}\): chmod 600"):
        load_account(private(tmp_path / "key", KEY, mode), None, never)


def test_a_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, f"0x{KEY}")
    assert load_account(None, None, never).address == ADDRESS
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(AccountError, match=f"or set {KEY_VARIABLE}"):
        load_account(None, None, never)


def test_a_keystore_opens_with_its_passphrase(tmp_path: Path) -> None:
    store = tmp_path / "wallet.json"
    store.write_text(json.dumps(Account.encrypt(KEY, "sesame", kdf="pbkdf2", iterations=10)))
    assert load_account(None, store, lambda: "sesame").address == ADDRESS
    with pytest.raises(AccountError, match="can't be opened: MAC mismatch"):
        load_account(None, store, lambda: "wrong")
    store.write_text("{}")
    with pytest.raises(AccountError, match="can't be opened"):
        load_account(None, store, lambda: "sesame")
    with pytest.raises(AccountError, match="can't be read"):
        load_account(None, tmp_path / "absent.json", never)


@pytest.mark.parametrize("text", ["", KEY[:-1], KEY + "00", "zz" * 32, "00" * 32, "ff" * 32])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(AccountError, match="holds no key") as refused:
        load_account(private(tmp_path / "key", text), None, never)
    assert not text or text not in str(refused.value)


def test_a_key_on_the_command_line_isnt_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        consilium_command.main(["evm", "bridge", "submit", "epoch.json", "--rpc", "http://localhost", "--key", KEY])
    assert "--key-file" in capsys.readouterr().err


@pytest.mark.parametrize("library", ["eth_account", "eth_abi"])
def test_a_missing_library_is_named_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    key = private(tmp_path / "key", KEY)
    with pytest.raises(MissingLibraryError, match=rf"needs {library}, which .*: pip install 'consilium\[rewards\]'"):
        load_account(key, None, never) if library == "eth_account" else BridgeInterface.shared().call("threshold")


def test_commands_that_dont_pay_do_without_the_libraries() -> None:
    """Whoever approves terms or serves JSON-RPC has other extras installed."""
    program = "import sys; sys.modules.update(eth_abi=None, eth_account=None); import consilium_peers.commands.evm"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# ---- nodes


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[ChainNode]:
    """Run a node that answers everything with these bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ChainNode(f"http://127.0.0.1:{server.server_port}/v3/secret")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "status", "match"),
    [
        (b"<html>", 200, "can't be asked eth_chainId"),
        (b"[]", 200, "doesn't answer eth_chainId as JSON-RPC does"),
        (b'{"jsonrpc":"2.0","id":1}', 200, "doesn't answer"),
        (b'{"result":null}', 200, "None in answer to eth_chainId isn't a number"),
        (b'{"result":"many"}', 200, "'many' in answer"),
        (b'{"error":{"code":-32000,"message":"no"}}', 200, "refused eth_chainId: no"),
        (b'{"error":"no"}', 200, "the error 'no'"),
        (b"{}", 429, "HTTP status 429"),
    ],
)
def test_a_node_that_isnt_one_is_named_without_its_path(body: bytes, status: int, match: str) -> None:
    """Providers put keys into paths, so none is shown."""
    with answering(body, status) as node, pytest.raises(ChainError, match=match) as raised:
        node.chain_id()
    assert "secret" not in str(raised.value)
    assert str(raised.value).startswith(("http://127.0.0.1", "None", "'many'"))


@pytest.mark.parametrize("data", ['"0x1234"', '{"data":"0x1234"}'])
def test_what_a_contract_reverted_with_is_kept(data: str) -> None:
    body = f'{{"error":{{"message":"reverted","data":{data}}}}}'.encode()
    with answering(body) as node, pytest.raises(ChainError) as raised:
        node.call(bytes(20), b"")
    assert raised.value.data == "0x1234"


def test_a_node_that_isnt_there() -> None:
    with pytest.raises(ChainError, match="can't be asked eth_chainId"):
        ChainNode("http://127.0.0.1:1").chain_id()
    for url in ("file:///etc/passwd", "localhost:8545", "ws://localhost"):
        with pytest.raises(ChainError, match="isn't a JSON-RPC endpoint"):
            ChainNode(url)


def test_a_transaction_that_isnt_mined_in_time() -> None:
    with answering(b'{"result":null}') as node, pytest.raises(ChainError, match="isn't in a block after 0 s"):
        node.receipt("0x00", seconds=0.3)


# ---- the contract's errors


def test_every_reason_is_of_an_error_that_the_contract_has() -> None:
    interface = BridgeInterface.shared()
    errors = {each["name"]: len(each["inputs"]) for each in interface.artifact.abi if each["type"] == "error"}
    assert set(_REASONS) <= set(errors)
    for name, words in _REASONS.items():
        assert words.format(*range(errors[name]))


def test_refusals_are_said_in_words() -> None:
    interface = BridgeInterface.shared()
    selector = "0x" + "08c379a0"
    assert str(interface.refusal(selector + encode(["string"], ["no"]).hex())) == "the bridge refuses: no"
    for unknown in ("0x", "0x12345678", selector, "0x4e487b71" + "00" * 32):
        assert "without a reason that is known here" in str(interface.refusal(unknown))


def test_what_the_contract_cant_be_told_is_refused() -> None:
    with pytest.raises(BridgeRefusedError, match="can't be told"):
        BridgeInterface.shared().call("claimed", -1, 0)


# ---- resolutions as files


@pytest.mark.parametrize(
    "resolution",
    [
        BridgeTerms(revision=2, chain_id=31_337, address=as_data(bytes([0xB1]) * 20)),
        BridgeDecision(bridge=1, number=1, action=Pausing()),
        BridgeDecision(bridge=1, number=2, action=EndorserAddition(msp_id="AlphaMSP", certificate="0x" + "00" * 900)),
    ],
    ids=["terms", "pause", "addition"],
)
def test_resolutions_are_read_as_they_were_written(tmp_path: Path, resolution: BridgeTerms | BridgeDecision) -> None:
    write_resolution_file(tmp_path / "resolution.yaml", resolution, "what it is")
    read: Resolution = load_resolution_file(tmp_path / "resolution.yaml")
    assert read == resolution


def test_terms_of_the_evm_are_resolutions_as_well(repository: Path, tmp_path: Path) -> None:
    packaged = repository / "network" / "consilium_network" / "evm_terms.yaml"
    assert isinstance(load_resolution_file(packaged), EvmTerms)
    path = tmp_path / "resolution.yaml"
    for text in ("type: bridge-terms", "type: nothing", "- 1", ":", "type: bridge-terms\nrevision: 0"):
        path.write_text(text)
        with pytest.raises(TermsFileError, match=r"resolution\.yaml"):
            load_resolution_file(path)
    with pytest.raises(TermsFileError, match="can't read"):
        load_resolution_file(tmp_path / "absent.yaml")
