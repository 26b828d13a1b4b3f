// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// OpenZeppelin's token that counts votes in the past.
contract Votes is ERC20, EIP712, ERC20Votes {
    constructor(address[] memory holders, uint256 each) ERC20("Votes", "VOTE") EIP712("Votes", "1") {
        for (uint256 i = 0; i < holders.length; i++) _mint(holders[i], each);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}
