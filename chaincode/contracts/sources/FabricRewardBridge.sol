// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {EndorserRegistry} from "./EndorserRegistry.sol";
import {FabricAnswer} from "./FabricAnswer.sol";
import {PayoutTree} from "./PayoutTree.sol";

/// @title Pays on a public chain what hospitals earned on their consortium's ledger
/// @notice Peers of k of n organisations endorse an answer that says what their ledger holds; anybody may carry it
/// here. After set-up there is no owner: endorsers, threshold, pause and void are changed by k of n in the same way.
/// @dev An endorsement isn't a commit. That is why an *attestation* is carried over, a read-only answer about what was
/// committed before, and never the transaction that writes a reward.
contract FabricRewardBridge is ERC20, Pausable, EndorserRegistry {
    using FabricAnswer for FabricAnswer.Endorsed;

    struct Terms {
        string name;
        string symbol;
        string channel;
        string chaincode;
        uint16 threshold;
        uint32 challengeDelay;
    }

    /// @dev Two storage slots, so that a claim changes one: what is left to pay stands beside the first claims' marks.
    struct Epoch {
        bytes32 root;
        uint40 acceptedAt;
        uint96 unpaid;
        uint120 firstClaims;
    }

    enum Kind {
        None,
        Epoch,
        AddEndorser,
        RevokeEndorser,
        SetThreshold,
        Pause,
        Resume,
        VoidEpoch
    }

    /// @dev 0x89 can't begin text, so no chaincode's JSON begins so; the last byte is the format's version.
    bytes8 private constant MAGIC = 0x89434f4e53494c01;
    bytes32 private constant EPOCH_FUNCTION = keccak256("AttestEpoch");
    bytes32 private constant DECISION_FUNCTION = keccak256("AttestDecision");
    /// @dev Magic 8, kind 1, channel 32, chain id 32, bridge 20.
    uint256 private constant HEADER_SIZE = 93;
    /// @dev Epoch 8, total 12, root 32, number of payouts 4.
    uint256 private constant EPOCH_SIZE = HEADER_SIZE + 56;
    /// @dev The least: number of the decision 8.
    uint256 private constant DECISION_SIZE = HEADER_SIZE + 8;
    /// @dev How many claims are marked in an epoch's own slot.
    uint256 private constant PACKED_CLAIMS = 120;

    /// @notice keccak256 of the channel's name.
    bytes32 public immutable channelHash;
    /// @notice keccak256 of the attesting chaincode's name.
    bytes32 public immutable chaincodeHash;
    /// @notice Seconds between an epoch's acceptance and its first claim, in which k of n can pause and void.
    uint32 public immutable challengeDelay;

    /// @notice How many decisions were carried out; the next one has this number plus one.
    uint64 public decisions;
    /// @notice Roots that k of n took back, so that nobody brings their attestation again.
    mapping(uint64 epoch => mapping(bytes32 root => bool voided)) public voided;
    mapping(uint64 number => Epoch epoch) private _epochs;
    mapping(uint64 epoch => mapping(bytes32 root => mapping(uint256 word => uint256 marks))) private _furtherClaims;

    /// @notice An epoch's payouts can be claimed after the delay.
    event EpochAccepted(uint64 indexed epoch, bytes32 root, uint256 total, uint256 organizations, address carrier);
    /// @notice k of n took an epoch back.
    event EpochVoided(uint64 indexed epoch, bytes32 root);
    /// @notice A decision of k of n was carried out.
    event DecisionCarriedOut(uint64 indexed decision, Kind kind, uint256 organizations);
    /// @notice A payout was made.
    event Claimed(uint64 indexed epoch, uint256 indexed index, address indexed account, uint256 amount);

    error BadSize(uint256 size);
    error BadMagic(bytes8 magic);
    error BadKind(uint8 kind);
    error OtherChannel(bytes32 channel);
    error OtherChain(uint256 chain);
    error OtherBridge(address bridge);
    error DecisionOutOfTurn(uint64 decision, uint64 next);
    error EpochAlreadyAccepted(uint64 epoch);
    error EpochWasVoided(uint64 epoch, bytes32 root);
    error EpochUnknown(uint64 epoch);
    error OpenToChallenge(uint64 epoch, uint256 until);
    error AlreadyClaimed(uint64 epoch, uint256 index);
    error BadProof();
    error MoreThanAttested(uint256 amount, uint256 unpaid);

    /// @notice Sets up the bridge; nobody keeps a right over it.
    /// @param terms what never changes, and the first threshold
    /// @param first the first endorsers, of at least `threshold` organisations and fewer than twice as many
    constructor(Terms memory terms, Registration[] memory first) ERC20(terms.name, terms.symbol) {
        channelHash = keccak256(bytes(terms.channel));
        chaincodeHash = keccak256(bytes(terms.chaincode));
        challengeDelay = terms.challengeDelay;
        _setThreshold(terms.threshold);
        for (uint256 i = 0; i < first.length; ++i) {
            _addEndorser(first[i]);
        }
        _checkThreshold();
    }

    /// @notice Takes over an epoch's root from an attestation of `AttestEpoch`.
    /// @dev Epochs may come in any order: were only later ones taken, whoever carries epoch 7 first would take epoch 6
    /// from the hospitals.
    /// @param endorsed the attestation with its endorsements
    function submitEpoch(FabricAnswer.Endorsed calldata endorsed) external whenNotPaused {
        (bytes calldata answer, uint256 organizations) = _attested(endorsed, EPOCH_FUNCTION);
        if (_kind(answer) != Kind.Epoch) revert BadKind(uint8(answer[8]));
        if (answer.length != EPOCH_SIZE) revert BadSize(answer.length);
        uint64 number = uint64(bytes8(answer[93:101]));
        uint96 total = uint96(bytes12(answer[101:113]));
        bytes32 root = bytes32(answer[113:145]);
        if (_epochs[number].acceptedAt != 0) revert EpochAlreadyAccepted(number);
        if (voided[number][root]) revert EpochWasVoided(number, root);
        _epochs[number] = Epoch(root, uint40(block.timestamp), total, 0);
        emit EpochAccepted(number, root, total, organizations, msg.sender);
    }

    /// @notice Carries out what an attestation of `AttestDecision` says.
    /// @dev Decisions are numbered for this bridge and carried out in their order, each once. Pausing doesn't stop
    /// them, or nothing could end a pause.
    /// @param endorsed the attestation with its endorsements
    function carryOut(FabricAnswer.Endorsed calldata endorsed) external {
        (bytes calldata answer, uint256 organizations) = _attested(endorsed, DECISION_FUNCTION);
        if (answer.length < DECISION_SIZE) revert BadSize(answer.length);
        uint64 decision = uint64(bytes8(answer[93:101]));
        if (decision != decisions + 1) revert DecisionOutOfTurn(decision, decisions + 1);
        decisions = decision;
        Kind kind = _kind(answer);
        bytes calldata content = answer[101:];
        if (kind == Kind.AddEndorser) {
            _addEndorser(_registration(content));
        } else if (kind == Kind.RevokeEndorser) {
            _revokeEndorser(bytes32(_exactly(content, 32)));
        } else if (kind == Kind.SetThreshold) {
            _setThreshold(uint16(bytes2(_exactly(content, 2))));
        } else if (kind == Kind.Pause) {
            _exactly(content, 0);
            _pause();
        } else if (kind == Kind.Resume) {
            _exactly(content, 0);
            _unpause();
        } else if (kind == Kind.VoidEpoch) {
            _exactly(content, 40);
            _voidEpoch(uint64(bytes8(content)), bytes32(content[8:]));
        } else {
            revert BadKind(uint8(kind));
        }
        _checkThreshold();
        emit DecisionCarriedOut(decision, kind, organizations);
    }

    /// @notice Pays one payout of an accepted epoch. Anybody may call it; the account in the tree is paid.
    /// @param number the epoch
    /// @param index the payout's position in the tree
    /// @param account who is paid
    /// @param amount how much
    /// @param proof the siblings on the way to the root
    function claim(
        uint64 number,
        uint256 index,
        address account,
        uint96 amount,
        bytes32[] calldata proof
    ) external whenNotPaused {
        Epoch memory epoch = _epochs[number];
        if (epoch.acceptedAt == 0) revert EpochUnknown(number);
        uint256 claimableFrom = uint256(epoch.acceptedAt) + challengeDelay;
        // Hours pass between, so the seconds that a block's proposer can shift don't matter.
        // solhint-disable-next-line not-rely-on-time
        if (block.timestamp < claimableFrom) revert OpenToChallenge(number, claimableFrom);
        if (!MerkleProof.verifyCalldata(proof, epoch.root, PayoutTree.leaf(index, account, amount))) revert BadProof();
        epoch.firstClaims = _mark(epoch.firstClaims, number, epoch.root, index);
        // The tree's amounts add up to the total. Should they ever not, one epoch can't pay more than was attested.
        if (amount > epoch.unpaid) revert MoreThanAttested(amount, epoch.unpaid);
        epoch.unpaid -= amount;
        _epochs[number] = epoch;
        emit Claimed(number, index, account, amount);
        _mint(account, amount);
    }

    /// @notice An epoch as accepted: root, when, what is left to pay, marks of its first claims; zeros if unknown.
    /// @param number the epoch
    /// @return the record
    function epochRecord(uint64 number) external view returns (Epoch memory) {
        return _epochs[number];
    }

    /// @notice Whether a payout was made.
    /// @param number the epoch
    /// @param index the payout's position in the tree
    /// @return true if it was
    function claimed(uint64 number, uint256 index) external view returns (bool) {
        Epoch storage epoch = _epochs[number];
        if (index < PACKED_CLAIMS) return (epoch.firstClaims >> index) & 1 == 1;
        return (_furtherClaims[number][epoch.root][index >> 8] >> (index & 0xff)) & 1 == 1;
    }

    /// @dev Checks everything that an attestation has in common with others, signatures last.
    function _attested(
        FabricAnswer.Endorsed calldata endorsed,
        bytes32 functionName
    ) private view returns (bytes calldata answer, uint256 organizations) {
        answer = endorsed.read(FabricAnswer.Origin(channelHash, chaincodeHash, functionName));
        if (answer.length < HEADER_SIZE) revert BadSize(answer.length);
        if (bytes8(answer) != MAGIC) revert BadMagic(bytes8(answer));
        if (bytes32(answer[9:41]) != channelHash) revert OtherChannel(bytes32(answer[9:41]));
        if (uint256(bytes32(answer[41:73])) != block.chainid) revert OtherChain(uint256(bytes32(answer[41:73])));
        if (address(bytes20(answer[73:93])) != address(this)) revert OtherBridge(address(bytes20(answer[73:93])));
        organizations = _countOrganizations(endorsed.payload, endorsed.signatures);
    }

    function _kind(bytes calldata answer) private pure returns (Kind) {
        uint8 number = uint8(answer[8]);
        if (number > uint8(type(Kind).max)) revert BadKind(number);
        return Kind(number);
    }

    /// @dev qx 32, qy 32, length of the MSP id 1, MSP id, certificate in PEM.
    function _registration(bytes calldata content) private pure returns (Registration memory) {
        if (content.length < 65) revert BadSize(content.length);
        uint256 end = 65 + uint256(uint8(content[64]));
        if (content.length < end) revert BadSize(content.length);
        return Registration(bytes32(content), bytes32(content[32:]), content[65:end], content[end:]);
    }

    function _exactly(bytes calldata content, uint256 size) private pure returns (bytes calldata) {
        if (content.length != size) revert BadSize(content.length);
        return content;
    }

    /// @dev A root may be voided before anybody brings it. Afterwards the epoch can be accepted under another root.
    function _voidEpoch(uint64 number, bytes32 root) private {
        voided[number][root] = true;
        if (_epochs[number].root == root) delete _epochs[number];
        emit EpochVoided(number, root);
    }

    /// @dev Marks a payout as made, and refuses it if it was: in the epoch's own slot, or, behind its end, in words of
    /// 256 marks.
    function _mark(uint120 first, uint64 number, bytes32 root, uint256 index) private returns (uint120) {
        if (index < PACKED_CLAIMS) {
            uint120 bit = uint120(1 << index);
            if (first & bit != 0) revert AlreadyClaimed(number, index);
            return first | bit;
        }
        mapping(uint256 word => uint256 marks) storage words = _furtherClaims[number][root];
        uint256 mark = 1 << (index & 0xff);
        if (words[index >> 8] & mark != 0) revert AlreadyClaimed(number, index);
        words[index >> 8] |= mark;
        return first;
    }
}
