"""The EVM on a network: its chaincode, and its first terms, which every hospital approves before one enacts them."""

from __future__ import annotations

from importlib.resources import files

from consilium_network.chaincode_package import ChaincodeSource
from consilium_network.decisions import decide
from consilium_network.errors import EvmTermsError
from consilium_network.layout import NetworkFolder
from consilium_network.topology import Topology
from consilium_peers.errors import PeersError
from consilium_peers.ethereum.resolutions import Resolutions
from consilium_peers.ethereum.terms_file import parse_terms
from consilium_proto.ethereum.resolutions import EvmTerms
from consilium_proto.ethereum.scalars import EVM_CHAINCODE

EVM = ChaincodeSource(EVM_CHAINCODE, "consilium_chaincode.ethereum.contract:EthereumContract")

_PACKAGED = "evm_terms.yaml"


def packaged_terms() -> EvmTerms:
    """Return the terms that come with the package."""
    return parse_terms((files("consilium_network") / _PACKAGED).read_bytes(), _PACKAGED)


async def enact_first_terms(topology: Topology, folder: NetworkFolder, terms: EvmTerms) -> None:
    """Approve the EVM's first terms as every hospital's admin and enact them; terms in force stay.

    Raises:
        EvmTermsError: the contract refuses. The message has its words.
    """
    try:
        await decide(
            [folder.organization(each.name).profile("admin") for each in topology.hospitals],
            EVM_CHAINCODE,
            read=lambda contract: Resolutions(contract).terms(),
            approve=lambda contract: Resolutions(contract).approve(terms),
            enact=lambda contract: Resolutions(contract).enact(terms),
        )
    except PeersError as error:
        raise EvmTermsError(f"the EVM's terms can't be put into force: {error}") from None
