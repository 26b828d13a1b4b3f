// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// What is asked to write, to log, and to fail in each of Solidity's ways.
contract Slots {
    error Forbidden(uint256 code);

    event Noted(address indexed by, uint256 indexed topic, uint256 value);

    mapping(uint256 => uint256) public noted;
    uint256 public notes;

    function note(uint256 topic, uint256 value) external {
        noted[topic] = value;
        notes += 1;
        emit Noted(msg.sender, topic, value);
    }

    function fail(uint256 how) external pure {
        if (how == 0) revert("no note today");
        if (how == 1) revert Forbidden(7);
        if (how == 2) assert(false);
        uint256[] memory none = new uint256[](0);
        none[how];
    }
}
