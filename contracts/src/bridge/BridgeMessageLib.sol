// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReceiptLib} from "../receipts/ReceiptLib.sol";

/// @notice A message from one chain to another, as the committee signs it once it is final.
/// @param route {BridgeMessageLib.route} of its sender.
/// @param number Counts from 1 for each route.
/// @param expiry Unix seconds of the destination: from then on it is void, unless governance there revives it.
/// @param payloadHash keccak256 of what the recipient gets.
struct BridgeMessage {
    bytes32 route;
    uint64 number;
    uint64 expiry;
    address sender;
    address recipient;
    bytes32 payloadHash;
}

/// @title BridgeMessageLib
/// @notice EIP-712 of messages between chains. The domain is that of the bridge that reads: a message's the destination's,
/// a void statement's the source's.
library BridgeMessageLib {
    bytes32 internal constant MESSAGE_TYPEHASH = keccak256(
        "BridgeMessage(bytes32 route,uint64 number,uint64 expiry,address sender,address recipient,bytes32 payloadHash)"
    );
    bytes32 internal constant VOID_TYPEHASH = keccak256("BridgeVoid(bytes32 route,uint64 number,bytes32 message)");

    /// @notice A message's id: the digest that the committee signs.
    function digest(BridgeMessage memory message, bytes32 separator) internal pure returns (bytes32) {
        // Every field is a static word, so the struct's ABI encoding is its EIP-712 encoding.
        return ReceiptLib.toDigest(separator, keccak256(abi.encode(MESSAGE_TYPEHASH, message)));
    }

    /// @notice What the committee signs to say that a message was void on its destination and so stays for ever.
    /// @param id The message's.
    function voidDigest(
        bytes32 route_,
        uint64 number,
        bytes32 id,
        bytes32 separator
    ) internal pure returns (bytes32) {
        return ReceiptLib.toDigest(separator, keccak256(abi.encode(VOID_TYPEHASH, route_, number, id)));
    }

    /// @notice The route from a sender on one chain through its bridge to the bridge of another. Each sender has its own, so
    /// that nobody's messages hold up another's.
    function route(
        uint256 sourceChain,
        address sourceBridge,
        address sender,
        uint256 destinationChain,
        address destinationBridge
    ) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                "cloister/bridge-route: v1", sourceChain, sourceBridge, sender, destinationChain, destinationBridge
            )
        );
    }
}
