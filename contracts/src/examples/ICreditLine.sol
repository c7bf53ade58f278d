// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Receipt} from "../receipts/ReceiptLib.sol";

/// @title ICreditLine
/// @notice Opens credit lines on the word of a private scoring app: it learns the decision and the limit, never the
/// score or the applicant's file.
interface ICreditLine {
    event CreditLineOpened(address indexed borrower, uint256 limit, uint256 nonce);
    event CreditLineDeclined(address indexed borrower, uint256 nonce);

    error CreditLineAlreadyOpen(address borrower, uint256 limit);
    error CreditLineBodyMalformed(uint256 length);
    error CreditLineForeignFile(uint256 applicant, address borrower);
    error CreditLineDecisionInvalid(uint256 approved, uint256 limit);

    /// @notice Brings the app's decision about the caller. Anyone, for themselves.
    /// @param nonce Chosen by the borrower before the call; each is used once, for a refusal too.
    /// @param outputSalt Opens the receipt's outputCommitment, with `body`.
    /// @param body `abi.encode(address applicant, uint256 approved, uint256 limit)`: whom the file is about, then
    /// (1, limit above 0) or (0, 0).
    function open(
        Receipt calldata receipt,
        bytes calldata signature,
        uint256 nonce,
        bytes32 outputSalt,
        bytes calldata body
    ) external;

    /// @notice The borrower's limit, zero where there is no line.
    function limitOf(address borrower) external view returns (uint256);

    /// @notice The subject in the receipt's context.
    function subjectOf(address borrower) external pure returns (bytes32);

    /// @notice The purpose in the receipt's context: keccak256("cloister-credit-line/open").
    function OPEN_PURPOSE() external view returns (bytes32);
}
