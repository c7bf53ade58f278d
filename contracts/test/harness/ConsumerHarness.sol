// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CloisterConsumer} from "../../src/receipts/CloisterConsumer.sol";
import {Receipt} from "../../src/receipts/ReceiptLib.sol";

/// @notice A consumer that does nothing with the answer: what a receipt alone costs.
contract ConsumerHarness is CloisterConsumer {
    constructor(ConsumerPolicy memory policy) CloisterConsumer(policy) {}

    function consume(
        Receipt calldata receipt,
        bytes calldata signature,
        bytes32 purpose,
        uint256 nonce,
        bytes32 outputSalt,
        bytes calldata body
    ) external {
        _consumeReceipt(receipt, signature, bytes32(uint256(uint160(msg.sender))), purpose, nonce, outputSalt, body);
    }
}
