// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What an endorsement by Hyperledger Fabric's peers says
/// @notice Reads the protocol buffers that peers sign, strictly: each field at most once, in ascending order, nothing
/// between, behind or unknown. Peers read leniently (of a repeated field the last one counts), and a client writes the
/// proposal's parts as it likes, so whatever a lenient reader may see differently is refused here.
library FabricAnswer {
    /// @notice One transaction proposal's answer with its endorsements.
    /// @param payload ProposalResponsePayload, which each endorser signed together with its identity
    /// @param channelHeader ChannelHeader of the proposal
    /// @param signatureHeader SignatureHeader of the proposal
    /// @param proposalPayload ChaincodeProposalPayload of the proposal, without its transient map
    /// @param signatures for each endorser its number (2 bytes), r and s (32 bytes each)
    struct Endorsed {
        bytes payload;
        bytes channelHeader;
        bytes signatureHeader;
        bytes proposalPayload;
        bytes signatures;
    }

    /// @notice Where an answer came from, by hash.
    struct Origin {
        bytes32 channel;
        bytes32 chaincode;
        bytes32 functionName;
    }

    error BadEncoding(uint256 offset);
    error BadChannel();
    error BadChaincode();
    error BadFunction();
    error BadProposal();

    /// @notice Reads the chaincode's answer, and checks which channel, chaincode and function it came from.
    /// @dev The chaincode's name stands in what the peers signed. Channel and function stand in the proposal, of which
    /// they signed the hash. The function is checked so that no other function of the same chaincode can return bytes
    /// that pass for an attestation.
    /// @param endorsed the answer and the proposal's parts
    /// @param origin what is expected
    /// @return answer the bytes that the chaincode returned
    function read(Endorsed calldata endorsed, Origin memory origin) internal pure returns (bytes calldata answer) {
        bytes32 proposalHash;
        (proposalHash, answer) = _answer(endorsed.payload, origin.chaincode);
        bytes calldata channelHeader = endorsed.channelHeader;
        bytes calldata signatureHeader = endorsed.signatureHeader;
        bytes calldata proposalPayload = endorsed.proposalPayload;
        if (sha256(bytes.concat(channelHeader, signatureHeader, proposalPayload)) != proposalHash) revert BadProposal();
        if (keccak256(_channel(channelHeader)) != origin.channel) revert BadChannel();
        _walkSignatureHeader(signatureHeader);
        if (keccak256(_functionName(proposalPayload)) != origin.functionName) revert BadFunction();
    }

    /// @dev ProposalResponsePayload { proposal_hash = 1, extension = 2: ChaincodeAction }
    function _answer(
        bytes calldata payload,
        bytes32 chaincode
    ) private pure returns (bytes32 proposalHash, bytes calldata answer) {
        (uint256 start, uint256 end) = _field(payload, 0, 0x0a);
        if (end - start != 32) revert BadEncoding(start);
        proposalHash = bytes32(payload[start:end]);
        (start, end) = _field(payload, end, 0x12);
        if (end != payload.length) revert BadEncoding(end);
        return (proposalHash, _walkAction(payload[start:end], chaincode));
    }

    /// @dev ChaincodeAction { results = 1, events = 2, response = 3, chaincode_id = 4 }; an attestation sets no event.
    function _walkAction(bytes calldata action, bytes32 chaincode) private pure returns (bytes calldata answer) {
        (uint256 start, uint256 end) = _field(action, 0, 0x0a);
        (start, end) = _field(action, end, 0x1a);
        answer = _responsePayload(action[start:end]);
        (start, end) = _field(action, end, 0x22);
        if (end != action.length) revert BadEncoding(end);
        if (keccak256(_chaincodeName(action[start:end])) != chaincode) revert BadChaincode();
    }

    /// @dev Response { status = 1: 200, message = 2: empty, payload = 3 }
    function _responsePayload(bytes calldata response) private pure returns (bytes calldata) {
        if (response.length < 3 || bytes3(response) != 0x08c801) revert BadEncoding(0);
        (uint256 start, uint256 end) = _field(response, 3, 0x1a);
        if (end != response.length) revert BadEncoding(end);
        return response[start:end];
    }

    /// @dev ChaincodeID { path = 1: empty, name = 2, version = 3 }
    function _chaincodeName(bytes calldata id) private pure returns (bytes calldata) {
        (uint256 start, uint256 end) = _field(id, 0, 0x12);
        uint256 last = _optionalField(id, end, 0x1a);
        if (last != id.length) revert BadEncoding(last);
        return id[start:end];
    }

    /// @dev ChannelHeader { type = 1, version = 2, timestamp = 3, channel_id = 4, tx_id = 5, epoch = 6, extension = 7,
    /// tls_cert_hash = 8 }; the type is ENDORSER_TRANSACTION.
    function _channel(bytes calldata header) private pure returns (bytes calldata) {
        if (header.length < 2 || bytes2(header) != 0x0803) revert BadEncoding(0);
        uint256 offset = _optionalNumber(header, 2, 0x10);
        offset = _optionalField(header, offset, 0x1a);
        (uint256 start, uint256 end) = _field(header, offset, 0x22);
        (, offset) = _field(header, end, 0x2a);
        offset = _optionalNumber(header, offset, 0x30);
        (, offset) = _field(header, offset, 0x3a);
        offset = _optionalField(header, offset, 0x42);
        if (offset != header.length) revert BadEncoding(offset);
        return header[start:end];
    }

    /// @dev SignatureHeader { creator = 1, nonce = 2 }. Nothing in it is used. It is walked because the three parts are
    /// hashed without their lengths: were one not walked to its end, a boundary could be shifted.
    function _walkSignatureHeader(bytes calldata header) private pure {
        (, uint256 offset) = _field(header, 0, 0x0a);
        (, offset) = _field(header, offset, 0x12);
        if (offset != header.length) revert BadEncoding(offset);
    }

    /// @dev ChaincodeProposalPayload { input = 1: ChaincodeInvocationSpec { chaincode_spec = 1: ChaincodeSpec } }
    function _functionName(bytes calldata payload) private pure returns (bytes calldata) {
        return _firstArgument(_input(_only(_only(payload))));
    }

    /// @dev The content of a message whose one field is number 1.
    function _only(bytes calldata message) private pure returns (bytes calldata) {
        (uint256 start, uint256 end) = _field(message, 0, 0x0a);
        if (end != message.length) revert BadEncoding(end);
        return message[start:end];
    }

    /// @dev ChaincodeSpec { type = 1, chaincode_id = 2, input = 3, timeout = 4: unset }
    function _input(bytes calldata spec) private pure returns (bytes calldata) {
        uint256 offset = _optionalNumber(spec, 0, 0x08);
        (, offset) = _field(spec, offset, 0x12);
        (uint256 start, uint256 end) = _field(spec, offset, 0x1a);
        if (end != spec.length) revert BadEncoding(end);
        return spec[start:end];
    }

    /// @dev ChaincodeInput { repeated args = 1, decorations = 2: unset, is_init = 3: unset }
    function _firstArgument(bytes calldata input) private pure returns (bytes calldata) {
        (uint256 start, uint256 end) = _field(input, 0, 0x0a);
        uint256 offset = end;
        while (offset < input.length) {
            (, offset) = _field(input, offset, 0x0a);
        }
        return input[start:end];
    }

    /// @dev Where the content of the length-delimited field `tag` at `offset` begins and ends. Lengths are below 2^28
    /// and in their shortest form.
    function _field(bytes calldata data, uint256 offset, uint8 tag) private pure returns (uint256 start, uint256 end) {
        bytes32 word = _wordAt(data, offset);
        if (offset >= data.length || uint8(word[0]) != tag) revert BadEncoding(offset);
        unchecked {
            uint256 digit = uint8(word[1]);
            uint256 length = digit & 0x7f;
            uint256 size = 1;
            while (digit >= 0x80) {
                if (size == 4) revert BadEncoding(offset);
                digit = uint8(word[++size]);
                length |= (digit & 0x7f) << (7 * (size - 1));
            }
            start = offset + 1 + size;
            end = start + length;
            if ((digit == 0 && size > 1) || end > data.length) revert BadEncoding(offset);
        }
    }

    /// @dev The 32 bytes from `offset` on. Behind the end of `data` lies other input: whoever calls compares ends.
    function _wordAt(bytes calldata data, uint256 offset) private pure returns (bytes32 word) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, offset))
        }
    }

    /// @dev The end of the field `tag` if it stands at `offset`, otherwise `offset`.
    function _optionalField(bytes calldata data, uint256 offset, uint8 tag) private pure returns (uint256 end) {
        if (offset >= data.length || uint8(_wordAt(data, offset)[0]) != tag) return offset;
        (, end) = _field(data, offset, tag);
    }

    /// @dev The end of the number `tag` if it stands at `offset`, otherwise `offset`. Ten bytes are the longest number.
    function _optionalNumber(bytes calldata data, uint256 offset, uint8 tag) private pure returns (uint256) {
        if (offset >= data.length || uint8(_wordAt(data, offset)[0]) != tag) return offset;
        for (uint256 end = offset + 1; end < data.length && end < offset + 11; ++end) {
            if (uint8(data[end]) < 0x80) return end + 1;
        }
        revert BadEncoding(offset);
    }
}
