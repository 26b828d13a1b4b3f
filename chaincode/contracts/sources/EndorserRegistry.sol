// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title Whose endorsements count, and whether enough organisations endorsed
/// @notice A peer signs SHA-256(ProposalResponsePayload ‖ its SerializedIdentity) with its P-256 key. Nothing else has
/// to be trusted, so there is no bridge key to steal. Organisations are counted, not peers: one may run many.
abstract contract EndorserRegistry {
    /// @notice What makes an endorser: its public key, and what it signs as.
    struct Registration {
        bytes32 qx;
        bytes32 qy;
        bytes mspId;
        bytes certificate;
    }

    /// @dev Endorser's number (2 bytes), r and s (32 bytes each).
    uint256 private constant SIGNATURE_SIZE = 66;
    /// @dev Half the order of P-256, FIPS 186-5.
    uint256 private constant HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8;
    /// @dev An organisation's place fits in a byte.
    uint256 private constant MAX_ORGANIZATIONS = 255;
    /// @dev So that a record's address is computed from at most two bytes.
    uint256 private constant MAX_ENDORSERS = 65_000;
    uint256 private constant MAX_MSP_ID = 127;
    uint256 private constant MAX_CERTIFICATE = 4096;

    /// @notice How many organisations must endorse.
    uint16 public threshold;
    /// @notice How many organisations have an endorser that counts.
    uint16 public activeOrganizations;

    /// @notice How many endorsers were ever registered; their numbers begin at 0.
    uint32 public endorserCount;

    /// @dev A byte for each endorser, 32 in a word: its organisation's place (from 1), or zero if it doesn't count.
    mapping(uint256 word => uint256 places) private _counting;
    /// @notice An endorser's number plus one, by keccak256 of its identity; zero if it was never registered.
    mapping(bytes32 identity => uint256 place) public endorserPlace;
    /// @dev An organisation's place (from 1), by keccak256 of its MSP id.
    mapping(bytes32 mspId => uint256 place) private _organizationPlaces;
    /// @dev How many endorsers of an organisation count, by its place; none stands at 0.
    uint16[] private _countingOf = [0];

    /// @notice An endorser counts from now on.
    event EndorserAdded(uint256 indexed endorser, bytes mspId, bytes32 qx, bytes32 qy, bytes certificate);
    /// @notice An endorser doesn't count any more, and never will again.
    event EndorserRevoked(uint256 indexed endorser);
    /// @notice So many organisations must endorse from now on.
    event ThresholdSet(uint256 threshold);

    error NotAKey(bytes32 qx, bytes32 qy);
    error BadIdentity(uint256 mspIdSize, uint256 certificateSize);
    error EndorserKnown(uint256 endorser);
    error EndorserUnknown(uint256 endorser);
    error EndorserNotActive(uint256 endorser);
    error RecordNotStored();
    error TooManyOrganizations();
    error TooManyEndorsers();
    error BadThreshold(uint256 threshold, uint256 organizations);
    error BadSignatures(uint256 length);
    error HighS(uint256 endorser);
    error BadSignature(uint256 endorser);
    error OrganizationTwice(uint256 place);
    error NotEnoughOrganizations(uint256 found, uint256 needed);

    /// @notice The place of an endorser's organisation (from 1), or zero if the endorser doesn't count (any more).
    /// @param number the endorser
    /// @return the place
    function organizationOf(uint256 number) public view returns (uint256) {
        return (_counting[number / 32] >> (8 * (number % 32))) & 0xff;
    }

    /// @notice Where an endorser's key and identity are kept: in the code of a contract that this one created.
    /// @dev Reading code costs a tenth of reading storage. The address follows from the number, by the rule of CREATE
    /// (keccak256 of RLP [creator, nonce]; nonces begin at 1), and so isn't stored.
    /// @param number the endorser
    /// @return the address
    function recordOf(uint256 number) public view returns (address) {
        uint256 nonce = number + 1;
        bytes memory name;
        if (nonce < 0x80) {
            name = abi.encodePacked(hex"d694", address(this), uint8(nonce));
        } else if (nonce < 0x100) {
            name = abi.encodePacked(hex"d794", address(this), hex"81", uint8(nonce));
        } else {
            name = abi.encodePacked(hex"d894", address(this), hex"82", uint16(nonce));
        }
        return address(uint160(uint256(keccak256(name))));
    }

    /// @dev The identity is put together here from MSP id and certificate: an endorser can't be registered under
    /// another organisation than the one that it signs as. It is registered once: a revoked one doesn't come back,
    /// since its key may be in wrong hands.
    function _addEndorser(Registration memory registration) internal {
        (bytes32 qx, bytes32 qy) = (registration.qx, registration.qy);
        if (!P256.isValidPublicKey(qx, qy)) revert NotAKey(qx, qy);
        bytes memory identity = _serializedIdentity(registration.mspId, registration.certificate);
        bytes32 name = keccak256(identity);
        if (endorserPlace[name] != 0) revert EndorserKnown(endorserPlace[name] - 1);
        uint256 number = endorserCount++;
        if (number == MAX_ENDORSERS) revert TooManyEndorsers();
        uint256 place = _place(keccak256(registration.mspId));
        if (_countingOf[place]++ == 0) ++activeOrganizations;
        _counting[number / 32] |= place << (8 * (number % 32));
        endorserPlace[name] = number + 1;
        if (_store(abi.encodePacked(qx, qy, identity)) != recordOf(number)) revert RecordNotStored();
        emit EndorserAdded(number, registration.mspId, qx, qy, registration.certificate);
    }

    function _revokeEndorser(bytes32 identity) internal {
        uint256 known = endorserPlace[identity];
        if (known == 0) revert EndorserUnknown(known);
        uint256 number = known - 1;
        uint256 place = organizationOf(number);
        if (place == 0) revert EndorserNotActive(number);
        _counting[number / 32] &= ~(uint256(0xff) << (8 * (number % 32)));
        if (--_countingOf[place] == 0) --activeOrganizations;
        emit EndorserRevoked(number);
    }

    function _setThreshold(uint16 wanted) internal {
        threshold = wanted;
        emit ThresholdSet(wanted);
    }

    /// @dev More than half, so that no two groups can attest different things; at most all, or nothing could be
    /// attested again. Asked after every change.
    function _checkThreshold() internal view {
        uint256 organizations = activeOrganizations;
        if (threshold > organizations || 2 * uint256(threshold) <= organizations) {
            revert BadThreshold(threshold, organizations);
        }
    }

    /// @dev Checks the signatures over `payload`; each must be good, by an endorser that counts, one per organisation.
    function _countOrganizations(
        bytes calldata payload,
        bytes calldata signatures
    ) internal view returns (uint256 found) {
        if (signatures.length % SIGNATURE_SIZE != 0) revert BadSignatures(signatures.length);
        bytes memory buffer = _bufferFor(payload);
        uint256 marked = 0;
        for (uint256 offset = 0; offset < signatures.length; offset += SIGNATURE_SIZE) {
            uint256 number = uint16(bytes2(signatures[offset:offset + 2]));
            uint256 place = organizationOf(number);
            if (place == 0) revert EndorserNotActive(number);
            if ((marked >> place) & 1 == 1) revert OrganizationTwice(place);
            marked |= 1 << place;
            bytes32 r = bytes32(signatures[offset + 2:offset + 34]);
            bytes32 s = bytes32(signatures[offset + 34:offset + 66]);
            // Of the two forms of a signature Fabric makes and takes the low one only.
            if (uint256(s) > HALF_ORDER) revert HighS(number);
            (bytes32 digest, bytes32 qx, bytes32 qy) = _signed(buffer, payload.length, recordOf(number));
            if (!P256.verify(digest, r, s, qx, qy)) revert BadSignature(number);
            ++found;
        }
        if (found < threshold) revert NotEnoughOrganizations(found, threshold);
    }

    /// @dev Where [qx ‖ qy ‖ payload ‖ identity] is put together, once for all endorsers: key and identity lie apart
    /// so that the key's words can be overwritten in front of a payload that is copied once.
    function _bufferFor(bytes calldata payload) private pure returns (bytes memory buffer) {
        buffer = new bytes(64);
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            // Memory behind `buffer` is free. Its length's word, the key, the payload and the longest identity fit in.
            calldatacopy(add(buffer, 96), payload.offset, payload.length)
            mstore(0x40, add(buffer, and(add(add(payload.length, 4544), 31), not(31))))
        }
    }

    /// @dev The digest that an endorser signs, and its key.
    function _signed(
        bytes memory buffer,
        uint256 payloadSize,
        address record
    ) private view returns (bytes32 digest, bytes32 qx, bytes32 qy) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            // A record is one STOP byte, then qx ‖ qy ‖ identity; no longer than `_bufferFor` left room for.
            let identitySize := sub(extcodesize(record), 65)
            let key := add(buffer, 32)
            extcodecopy(record, key, 1, 64)
            qx := mload(key)
            qy := mload(add(key, 32))
            let message := add(key, 64)
            extcodecopy(record, add(message, payloadSize), 65, identitySize)
            // SHA-256 is the precompile at 2.
            if iszero(staticcall(gas(), 2, message, add(payloadSize, identitySize), 0, 32)) {
                revert(0, 0)
            }
            digest := mload(0)
        }
    }

    function _place(bytes32 mspId) private returns (uint256 place) {
        place = _organizationPlaces[mspId];
        if (place == 0) {
            place = _countingOf.length;
            if (place > MAX_ORGANIZATIONS) revert TooManyOrganizations();
            _countingOf.push(0);
            _organizationPlaces[mspId] = place;
        }
    }

    /// @dev SerializedIdentity { mspid = 1, id_bytes = 2 } in protocol buffers, as every peer writes it.
    function _serializedIdentity(
        bytes memory mspId,
        bytes memory certificate
    ) private pure returns (bytes memory) {
        (uint256 mspIdSize, uint256 size) = (mspId.length, certificate.length);
        if (mspIdSize == 0 || mspIdSize > MAX_MSP_ID || size < 128 || size > MAX_CERTIFICATE) {
            revert BadIdentity(mspIdSize, size);
        }
        bytes2 certificateSize = bytes2(uint16(((0x80 | (size & 0x7f)) << 8) | (size >> 7)));
        return abi.encodePacked(hex"0a", uint8(mspIdSize), mspId, hex"12", certificateSize, certificate);
    }

    /// @dev Keeps bytes as a contract's code, behind a STOP so that nobody can run them.
    function _store(bytes memory content) private returns (address record) {
        // Nothing else here creates contracts: `recordOf` counts on it.
        // PUSH2 size, DUP1, PUSH1 10, RETURNDATASIZE, CODECOPY, RETURNDATASIZE, RETURN, then the code: STOP, content.
        bytes memory creation = abi.encodePacked(hex"61", uint16(content.length + 1), hex"80600a3d393df300", content);
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            record := create(0, add(creation, 32), mload(creation))
        }
    }
}
