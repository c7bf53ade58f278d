// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReceiptLib} from "../receipts/ReceiptLib.sol";

/// @notice Who pays whom by which key. Its hash is the channel's id; the contract stores nothing else of it.
/// @param payer To whom what is left goes back.
/// @param payerKey Signs the vouchers; each client process has its own. A key, never a contract.
/// @param operator Whose workers are paid.
/// @param gateway Which gateway carries the calls; zero where none does.
/// @param salt Tells channels of the same parties apart. Warning: never use one anew for a key whose process was lost.
struct Channel {
    address payer;
    address payerKey;
    address operator;
    address gateway;
    bytes32 salt;
}

/// @notice A {Channel} of an operator that is named beside it.
struct OperatorChannel {
    address payer;
    address payerKey;
    address gateway;
    bytes32 salt;
}

/// @title PaymentRecords
/// @notice Ids and EIP-712 digests of channels, vouchers and settlement statements.
library PaymentRecords {
    /// @dev The domain of x402's batch settlement, so that its vouchers and ours are signed alike; the verifying contract
    /// tells them apart.
    string internal constant VOUCHER_DOMAIN_NAME = "x402 Batch Settlement";
    string internal constant VOUCHER_DOMAIN_VERSION = "1";

    /// @dev Of the two above, as literals: hashes of constants would be computed at each call.
    bytes32 private constant VOUCHER_DOMAIN_NAME_HASH = keccak256("x402 Batch Settlement");
    bytes32 private constant VOUCHER_DOMAIN_VERSION_HASH = keccak256("1");

    bytes32 internal constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");
    bytes32 internal constant SETTLEMENT_STATEMENT_TYPEHASH =
        keccak256("SettlementStatement(bytes32 pairsHash,uint64 block)");

    /// @notice H("cloister/channel: v1", chainId, payments, payer, payerKey, operator, gateway, salt).
    function channelId(
        uint256 chainId,
        address payments,
        Channel calldata channel
    ) internal pure returns (bytes32 id) {
        // The same as keccak256(abi.encode(tag, chainId, payments, channel's five words)), without copying the tag, and for
        // a third of the gas. Behind the free memory pointer, which stays as it is.
        assembly ("memory-safe") {
            let dirty := or(calldataload(channel), calldataload(add(channel, 0x20)))
            dirty := or(dirty, or(calldataload(add(channel, 0x40)), calldataload(add(channel, 0x60))))
            // As the ABI's decoder does: an address is 20 bytes.
            if shr(160, dirty) { revert(0, 0) }
            let words := mload(0x40)
            mstore(words, 0x100)
            mstore(add(words, 0x20), chainId)
            mstore(add(words, 0x40), payments)
            calldatacopy(add(words, 0x60), channel, 0xa0)
            mstore(add(words, 0x100), 20)
            mstore(add(words, 0x120), "cloister/channel: v1")
            id := keccak256(words, 0x140)
        }
    }

    /// @notice The words of an operator's channel ids in memory, for {channelIdOf} to complete: all but the four of an
    /// {OperatorChannel}.
    function channelIdWords(
        uint256 chainId,
        address payments,
        address operator
    ) internal pure returns (uint256 words) {
        assembly ("memory-safe") {
            words := mload(0x40)
            mstore(0x40, add(words, 0x140))
            mstore(words, 0x100)
            mstore(add(words, 0x20), chainId)
            mstore(add(words, 0x40), payments)
            mstore(add(words, 0xa0), operator)
            mstore(add(words, 0x100), 20)
            mstore(add(words, 0x120), "cloister/channel: v1")
        }
    }

    /// @notice The same id as {channelId}, of a channel of the operator whose words these are.
    function channelIdOf(uint256 words, OperatorChannel calldata channel) internal pure returns (bytes32 id) {
        assembly ("memory-safe") {
            let payer := calldataload(channel)
            let payerKey := calldataload(add(channel, 0x20))
            let gateway := calldataload(add(channel, 0x40))
            if shr(160, or(payer, or(payerKey, gateway))) { revert(0, 0) }
            mstore(add(words, 0x60), payer)
            mstore(add(words, 0x80), payerKey)
            mstore(add(words, 0xc0), gateway)
            mstore(add(words, 0xe0), calldataload(add(channel, 0x60)))
            id := keccak256(words, 0x140)
        }
    }

    function voucherDomainSeparator(uint256 chainId, address payments) internal pure returns (bytes32) {
        return _separator(VOUCHER_DOMAIN_NAME_HASH, VOUCHER_DOMAIN_VERSION_HASH, chainId, payments);
    }

    /// @notice The same as {ReceiptLib.domainSeparator}, for less gas.
    function recordDomainSeparator(uint256 chainId, address registry) internal pure returns (bytes32) {
        return _separator(ReceiptLib.DOMAIN_NAME_HASH, ReceiptLib.DOMAIN_VERSION_HASH, chainId, registry);
    }

    /// @notice The words of vouchers of this domain in memory, for {voucherDigestOf} to complete.
    function voucherWords(bytes32 separator) internal pure returns (uint256 words) {
        bytes32 typeHash = VOUCHER_TYPEHASH;
        assembly ("memory-safe") {
            words := mload(0x40)
            mstore(0x40, add(words, 0xc0))
            mstore(words, typeHash)
            mstore(add(words, 0x60), hex"1901")
            mstore(add(words, 0x62), separator)
        }
    }

    /// @notice What the payer key signs, by EIP-712.
    function voucherDigestOf(
        uint256 words,
        bytes32 channel,
        uint256 maxClaimableAmount
    ) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            mstore(add(words, 0x20), channel)
            mstore(add(words, 0x40), maxClaimableAmount)
            mstore(add(words, 0x82), keccak256(words, 0x60))
            digest := keccak256(add(words, 0x60), 0x42)
        }
    }

    /// @notice What a receipt signer signs over the totals of many channels, in the domain of the network's records.
    function statementDigest(
        bytes32 pairs,
        uint64 blockNumber,
        bytes32 separator
    ) internal pure returns (bytes32 digest) {
        bytes32 typeHash = SETTLEMENT_STATEMENT_TYPEHASH;
        // ReceiptLib.toDigest of the hash of the three words. Behind the free memory pointer, which stays as it is.
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            mstore(add(words, 0x20), pairs)
            mstore(add(words, 0x40), blockNumber)
            mstore(add(words, 0x80), keccak256(words, 0x60))
            mstore(add(words, 0x40), hex"1901")
            mstore(add(words, 0x42), separator)
            mstore(add(words, 0x62), mload(add(words, 0x80)))
            digest := keccak256(add(words, 0x40), 0x42)
        }
    }

    /// @notice The leaf of a receipt or a statement in an anchored tree: H("cloister/anchored: v1", digest).
    /// @dev Whole ABI words of more than 65 bytes under a tag: neither a node of the tree nor a leaf of another one.
    function anchoredLeaf(bytes32 digest) internal pure returns (bytes32) {
        return keccak256(abi.encode("cloister/anchored: v1", digest));
    }

    /// @dev keccak256 of the five words. Behind the free memory pointer, which stays as it is.
    function _separator(
        bytes32 name,
        bytes32 version,
        uint256 chainId,
        address verifyingContract
    ) private pure returns (bytes32 separator) {
        bytes32 typeHash = ReceiptLib.DOMAIN_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            mstore(add(words, 0x20), name)
            mstore(add(words, 0x40), version)
            mstore(add(words, 0x60), chainId)
            mstore(add(words, 0x80), verifyingContract)
            separator := keccak256(words, 0xa0)
        }
    }
}
