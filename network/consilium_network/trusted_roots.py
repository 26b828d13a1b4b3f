"""The file that a verifier of trails trusts: every organisation's root of identities, and the first block's hash.

Whoever verifies must have it from the consortium, not from who hands over a trail.
"""

from __future__ import annotations

from fabric_protos.common import common_pb2

from consilium_network.layout import SIGNING_ROOT, NetworkFolder
from consilium_network.topology import Topology
from consilium_trail.blocks.block import checked_header


def trusted_roots(topology: Topology, folder: NetworkFolder, genesis_block: bytes) -> bytes:
    """Return the file's content: PEM, with comments that say whose each certificate is."""
    header = common_pb2.Block.FromString(genesis_block).header
    digest = checked_header(header.number, header.previous_hash, header.data_hash).hash().hex()
    parts = [f"# Channel {topology.channel}\n# genesis-block-hash: {digest}\n".encode()]
    for organization in topology.organizations:
        root = folder.public(organization.name).msp / "cacerts" / SIGNING_ROOT
        parts += [f"# {organization.msp_id}\n".encode(), root.read_bytes()]
    return b"".join(parts)
