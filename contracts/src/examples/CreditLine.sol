// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CloisterConsumer} from "../receipts/CloisterConsumer.sol";
import {Receipt} from "../receipts/ReceiptLib.sol";
import {ICreditLine} from "./ICreditLine.sol";

/// @title CreditLine
/// @notice The sample consumer.
contract CreditLine is CloisterConsumer, ICreditLine {
    /// @inheritdoc ICreditLine
    bytes32 public constant OPEN_PURPOSE = keccak256("cloister-credit-line/open");

    /// @inheritdoc ICreditLine
    mapping(address borrower => uint256) public limitOf;

    constructor(ConsumerPolicy memory policy) CloisterConsumer(policy) {}

    /// @inheritdoc ICreditLine
    function open(
        Receipt calldata receipt,
        bytes calldata signature,
        uint256 nonce,
        bytes32 outputSalt,
        bytes calldata body
    ) external {
        _consumeReceipt(receipt, signature, subjectOf(msg.sender), OPEN_PURPOSE, nonce, outputSalt, body);

        if (body.length != 96) revert CreditLineBodyMalformed(body.length);
        (uint256 applicant, uint256 approved, uint256 limit) = abi.decode(body, (uint256, uint256, uint256));
        // The context says for whom the answer was asked; only the app knows whom the file is about.
        if (applicant != uint160(msg.sender)) revert CreditLineForeignFile(applicant, msg.sender);
        if (approved > 1 || (approved == 1) != (limit > 0)) revert CreditLineDecisionInvalid(approved, limit);
        if (approved == 0) {
            emit CreditLineDeclined(msg.sender, nonce);
            return;
        }
        if (limitOf[msg.sender] != 0) revert CreditLineAlreadyOpen(msg.sender, limitOf[msg.sender]);
        limitOf[msg.sender] = limit;
        emit CreditLineOpened(msg.sender, limit, nonce);
    }

    /// @inheritdoc ICreditLine
    function subjectOf(address borrower) public pure returns (bytes32) {
        return bytes32(uint256(uint160(borrower)));
    }
}
