"""`consilium chaincode serve`: run a chaincode service for one peer.

Its place in the world comes from the environment, as with Fabric's own chaincode services: CHAINCODE_ID,
CHAINCODE_SERVER_ADDRESS, CHAINCODE_TLS_KEY, CHAINCODE_TLS_CERT and CHAINCODE_TLS_CLIENT_CA (the last three are files);
chaincode `evm` also wants CHAINCODE_PEER_METRICS.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import sys
from pathlib import Path

from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.server import ServerTls, serve

CHAINCODES = {
    "federation": "consilium_chaincode.federation.contract:FederationContract",
    "evm": "consilium_chaincode.ethereum.contract:EthereumContract",
}
_TLS_VARIABLES = ("CHAINCODE_TLS_KEY", "CHAINCODE_TLS_CERT", "CHAINCODE_TLS_CLIENT_CA")

EXAMPLES = """examples:
  consilium chaincode serve federation
  consilium chaincode serve evm
  consilium chaincode serve my_package.contract:MyContract

environment: CHAINCODE_ID, CHAINCODE_SERVER_ADDRESS, and the files CHAINCODE_TLS_KEY, CHAINCODE_TLS_CERT,
CHAINCODE_TLS_CLIENT_CA; for evm also CHAINCODE_PEER_METRICS, host and port of the peer's operations service. The
network's supervisor sets them; see docs/administrators.md."""


class ServeError(Exception):
    """The service can't be started as asked."""


def load_contract(name: str) -> Contract:
    """Return the contract of a known name, or of `module:Class`.

    Raises:
        ServeError: there is no such contract.
    """
    target = CHAINCODES.get(name, name)
    module_name, _, class_name = target.partition(":")
    if not class_name:
        raise ServeError(f"unknown chaincode {name!r}; known are {', '.join(CHAINCODES)}, or give module:Class")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ServeError(f"can't load {target}: {error}") from None
    if not (isinstance(found, type) and issubclass(found, Contract)):
        raise ServeError(f"{target} isn't a contract: derive it from consilium_chaincode.shim.contract.Contract")
    return found()


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ServeError(f"{name} isn't set; the network's supervisor sets it")
    return value


def _tls() -> ServerTls:
    key, certificate, roots = (Path(_variable(name)) for name in _TLS_VARIABLES)
    try:
        return ServerTls(key.read_bytes(), certificate.read_bytes(), roots.read_bytes())
    except OSError as error:
        raise ServeError(f"TLS files: {error}") from None


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands to `consilium chaincode`."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser("serve", help="serve a chaincode to this hospital's peer", epilog=EXAMPLES)
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("chaincode", help="a known name, or module:Class")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    contract = load_contract(arguments.chaincode)
    asyncio.run(serve(contract, _variable("CHAINCODE_ID"), _variable("CHAINCODE_SERVER_ADDRESS"), _tls()))
    return 0


def main() -> int:
    """Let `python -m consilium_chaincode.serve NAME` start a service without the `consilium` program."""
    parser = argparse.ArgumentParser(prog="consilium_chaincode.serve")
    parser.add_argument("chaincode", help="a known name, or module:Class")
    try:
        return _run(parser.parse_args())
    except (ServeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
