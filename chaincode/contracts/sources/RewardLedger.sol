// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {PayoutTree} from "./PayoutTree.sol";

/// @title What each hospital has earned, on the consortium's own ledger
/// @notice An ERC-20 view of rewards: balances can be read with any wallet, and move only on the public chain. Were
/// they transferable here too, one reward could be spent on both chains.
/// @dev Runs in the EVM on Fabric. The federation's chaincode is its only writer, so whatever endorses a final round
/// endorses its reward in the same transaction: both or neither.
contract RewardLedger is ERC20 {
    /// @dev One storage slot.
    struct Payout {
        address account;
        uint96 amount;
    }

    struct Epoch {
        bytes32 root;
        uint96 credited;
        uint32 count;
        uint64 closedAt;
    }

    /// @notice The address that the federation's chaincode calls from.
    address public immutable federation;
    /// @notice The most that one round credits.
    uint96 public immutable roundCap;
    /// @notice The most that one epoch credits.
    uint96 public immutable epochCap;

    /// @notice The open epoch; the first is 1.
    uint64 public openEpoch = 1;
    /// @notice Where a hospital (keccak256 of its MSP id) wants to be paid; zero until it says so.
    mapping(bytes32 hospital => address account) public payoutAddress;
    /// @notice What a hospital earned before it named an address.
    mapping(bytes32 hospital => uint96 amount) public unassigned;
    /// @notice Rounds that were credited.
    mapping(bytes32 round => bool credited) public roundCredited;

    mapping(uint64 number => Epoch epoch) private _epochs;
    mapping(uint64 epoch => Payout[] payouts) private _payouts;
    mapping(uint64 epoch => mapping(address account => uint256 place)) private _places;

    /// @notice A hospital named the address that it wants to be paid at.
    event PayoutAddressSet(bytes32 indexed hospital, address indexed account);
    /// @notice A round was rewarded; `granted` is below `pot` where a cap was met.
    event RoundCredited(uint64 indexed epoch, bytes32 indexed round, uint256 pot, uint256 granted);
    /// @notice A hospital's share of a round; no account means that it is kept until the hospital names one.
    event Credited(
        uint64 indexed epoch,
        bytes32 indexed round,
        bytes32 indexed hospital,
        address account,
        uint256 amount
    );
    /// @notice What a hospital had earned before it named an address went to it.
    event Assigned(uint64 indexed epoch, bytes32 indexed hospital, address indexed account, uint256 amount);
    /// @notice An epoch was closed under a root.
    event EpochClosed(uint64 indexed epoch, bytes32 root, uint256 total, uint256 count);

    error NotFederation(address caller);
    error NotTransferable();
    error NoCap();
    error NoAddress(bytes32 hospital);
    error RoundAlreadyCredited(bytes32 round);
    error NobodyTookPart(bytes32 round);
    error WeightsDontMatch(uint256 hospitals, uint256 weights);
    error HospitalsUnordered(uint256 place);
    error NoWeight(uint256 place);
    error NothingToClose(uint64 epoch);

    modifier onlyFederation() {
        if (msg.sender != federation) revert NotFederation(msg.sender);
        _;
    }

    /// @notice Sets up the ledger; its terms never change.
    /// @param name_ the token's name
    /// @param symbol_ the token's symbol
    /// @param federation_ the address that the federation's chaincode calls from
    /// @param roundCap_ the most that one round credits
    /// @param epochCap_ the most that one epoch credits
    constructor(
        string memory name_,
        string memory symbol_,
        address federation_,
        uint96 roundCap_,
        uint96 epochCap_
    ) ERC20(name_, symbol_) {
        if (federation_ == address(0)) revert NotFederation(federation_);
        if (roundCap_ == 0 || epochCap_ < roundCap_) revert NoCap();
        federation = federation_;
        roundCap = roundCap_;
        epochCap = epochCap_;
    }

    /// @notice Records where a hospital wants to be paid, from now on; what waited for an address goes there.
    /// @dev The chaincode derives `hospital` from the identity that signed the transaction: nobody sets another's.
    /// @param hospital keccak256 of its MSP id
    /// @param account an address that the hospital holds the key of, on the public chain too
    function setPayoutAddress(bytes32 hospital, address account) external onlyFederation {
        if (account == address(0)) revert NoAddress(hospital);
        payoutAddress[hospital] = account;
        emit PayoutAddressSet(hospital, account);
        uint96 waiting = unassigned[hospital];
        if (waiting > 0) {
            unassigned[hospital] = 0;
            _credit(openEpoch, account, waiting);
            emit Assigned(openEpoch, hospital, account, waiting);
        }
    }

    /// @notice Splits a round's pot among those who took part to the end, by their weights.
    /// @dev A cap that is met shortens the pot instead of failing: a round must be able to end when its reward is used
    /// up. A weight counts up to `weightCap`, so that one large hospital can't take nearly all. Shares are rounded
    /// down, and what is left over by rounding isn't credited.
    /// @param round the round's identifier, credited once
    /// @param pot what the study gives for the round
    /// @param weightCap the most that one weight counts
    /// @param hospitals keccak256 of their MSP ids, ascending, so that nobody is listed twice
    /// @param weights what each contributed, above zero
    function creditRound(
        bytes32 round,
        uint96 pot,
        uint64 weightCap,
        bytes32[] calldata hospitals,
        uint64[] calldata weights
    ) external onlyFederation {
        if (roundCredited[round]) revert RoundAlreadyCredited(round);
        if (hospitals.length == 0) revert NobodyTookPart(round);
        if (hospitals.length != weights.length) revert WeightsDontMatch(hospitals.length, weights.length);
        roundCredited[round] = true;

        uint256 sum = _sumOfWeights(hospitals, weights, weightCap);
        uint64 epoch = openEpoch;
        uint96 credited = _epochs[epoch].credited;
        uint256 available = Math.min(Math.min(pot, roundCap), epochCap - credited);
        uint256 granted = 0;
        for (uint256 i = 0; i < hospitals.length; ++i) {
            uint96 amount = uint96((available * Math.min(weights[i], weightCap)) / sum);
            granted += amount;
            _creditHospital(epoch, round, hospitals[i], amount);
        }
        _epochs[epoch].credited = credited + uint96(granted);
        emit RoundCredited(epoch, round, pot, granted);
    }

    /// @notice Closes the open epoch under the Merkle root of its payouts, and opens the next.
    /// @dev The root is computed here, not given, so that nobody has to be trusted that it fits the balances.
    /// @return root the root over (index, account, amount)
    function closeEpoch() external onlyFederation returns (bytes32 root) {
        uint64 number = openEpoch;
        Payout[] storage payouts = _payouts[number];
        uint256 count = payouts.length;
        if (count == 0) revert NothingToClose(number);
        bytes32[] memory leaves = new bytes32[](count);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            Payout memory payout = payouts[i];
            leaves[i] = PayoutTree.leaf(i, payout.account, payout.amount);
            total += payout.amount;
        }
        root = PayoutTree.root(leaves);
        Epoch storage epoch = _epochs[number];
        epoch.root = root;
        epoch.count = uint32(count);
        epoch.closedAt = uint64(block.timestamp);
        openEpoch = number + 1;
        emit EpochClosed(number, root, total, count);
    }

    /// @notice An epoch's root (zero while it is open), what its rounds credited, how many it pays, when it was closed.
    /// @param number the epoch
    /// @return the record
    function epochRecord(uint64 number) external view returns (Epoch memory) {
        return _epochs[number];
    }

    /// @notice An epoch's payouts in the order of the tree's leaves: all that a proof needs.
    /// @param number the epoch
    /// @return the payouts
    function payoutsOf(uint64 number) external view returns (Payout[] memory) {
        return _payouts[number];
    }

    /// @notice Refused: an allowance would promise a transfer that can't be.
    function approve(address, uint256) public pure override returns (bool) {
        revert NotTransferable();
    }

    function _sumOfWeights(
        bytes32[] calldata hospitals,
        uint64[] calldata weights,
        uint64 weightCap
    ) private pure returns (uint256 sum) {
        for (uint256 i = 0; i < hospitals.length; ++i) {
            if (i > 0 && hospitals[i] <= hospitals[i - 1]) revert HospitalsUnordered(i);
            uint256 weight = Math.min(weights[i], weightCap);
            if (weight == 0) revert NoWeight(i);
            sum += weight;
        }
    }

    function _creditHospital(uint64 epoch, bytes32 round, bytes32 hospital, uint96 amount) private {
        address account = payoutAddress[hospital];
        if (account == address(0)) {
            unassigned[hospital] += amount;
        } else {
            _credit(epoch, account, amount);
        }
        emit Credited(epoch, round, hospital, account, amount);
    }

    function _credit(uint64 epoch, address account, uint96 amount) private {
        if (amount == 0) return;
        uint256 place = _places[epoch][account];
        if (place == 0) {
            _payouts[epoch].push(Payout(account, amount));
            _places[epoch][account] = _payouts[epoch].length;
        } else {
            _payouts[epoch][place - 1].amount += amount;
        }
        _mint(account, amount);
    }

    /// @dev Only credits change balances: see the contract's notice.
    function _update(address from, address to, uint256 value) internal override {
        if (from != address(0)) revert NotTransferable();
        super._update(from, to, value);
    }
}
