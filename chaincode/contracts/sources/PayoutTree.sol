// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title The Merkle tree over an epoch's payouts
/// @notice Both chains use it: the ledger of rewards computes roots, the bridge checks proofs.
library PayoutTree {
    /// @notice Hashes one payout.
    /// @dev Hashed twice, so that no inner node (64 bytes, hashed once) can be presented as a leaf. The index is in it
    /// because the bridge marks what was paid by index: without it, one leaf could be claimed under many.
    /// @param index position among the epoch's payouts, from 0
    /// @param account who is paid
    /// @param amount how much, in the token's smallest unit
    /// @return the leaf
    function leaf(uint256 index, address account, uint256 amount) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(index, account, amount))));
    }

    /// @notice Computes the root over leaves; overwrites them.
    /// @dev Pairs are sorted before they are hashed, as OpenZeppelin's MerkleProof does; a node without a partner moves
    /// up unchanged, so no leaf stands in the tree twice.
    /// @param nodes the leaves in order, at least one
    /// @return the root
    function root(bytes32[] memory nodes) internal pure returns (bytes32) {
        uint256 width = nodes.length;
        while (width > 1) {
            uint256 pairs = width / 2;
            for (uint256 i = 0; i < pairs; ++i) {
                nodes[i] = Hashes.commutativeKeccak256(nodes[2 * i], nodes[2 * i + 1]);
            }
            if (width % 2 == 1) {
                nodes[pairs] = nodes[width - 1];
            }
            width = pairs + (width % 2);
        }
        return nodes[0];
    }
}
