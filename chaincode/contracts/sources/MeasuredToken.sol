// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A plain token, with which EVMs are measured
/// @notice Anybody mints it: it lies on no chain, only the benchmark runs it.
contract MeasuredToken is ERC20 {
    /// @notice Names the token.
    constructor() ERC20("Measured Token", "MSR") {}

    /// @notice Makes new tokens.
    /// @param account who gets them
    /// @param amount how many
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }
}
