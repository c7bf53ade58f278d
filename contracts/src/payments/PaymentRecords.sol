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

/// @title PaymentRecords
/// @notice Ids and EIP-712 digests of channels, vouchers and settlement statements.
library PaymentRecords {
    /// @dev The domain of x402's batch settlement, so that its vouchers and ours are signed alike; the verifying contract
    /// tells them apart.
    string internal constant VOUCHER_DOMAIN_NAME = "x402 Batch Settlement";
    string internal constant VOUCHER_DOMAIN_VERSION = "1";

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

    function voucherDomainSeparator(uint256 chainId, address payments) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ReceiptLib.DOMAIN_TYPEHASH,
                keccak256(bytes(VOUCHER_DOMAIN_NAME)),
                keccak256(bytes(VOUCHER_DOMAIN_VERSION)),
                chainId,
                payments
            )
        );
    }

    /// @notice What the payer key signs.
    function voucherDigest(
        bytes32 channel,
        uint256 maxClaimableAmount,
        bytes32 separator
    ) internal pure returns (bytes32 digest) {
        bytes32 typeHash = VOUCHER_TYPEHASH;
        // As EIP-712 has it. Behind the free memory pointer, which stays as it is.
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            mstore(add(words, 0x20), channel)
            mstore(add(words, 0x40), maxClaimableAmount)
            let structHash := keccak256(words, 0x60)
            mstore(words, hex"1901")
            mstore(add(words, 0x02), separator)
            mstore(add(words, 0x22), structHash)
            digest := keccak256(words, 0x42)
        }
    }

    /// @notice What a receipt signer signs over the totals of many channels, in the domain of the network's records.
    function statementDigest(
        bytes32 pairs,
        uint64 blockNumber,
        bytes32 separator
    ) internal pure returns (bytes32) {
        return ReceiptLib.toDigest(separator, keccak256(abi.encode(SETTLEMENT_STATEMENT_TYPEHASH, pairs, blockNumber)));
    }

    /// @notice keccak256 of the pairs one behind the other, each the channel's id and the total as two words of 32 bytes,
    /// ascending by id, without those whose total is zero.
    /// @param ids Ascending.
    /// @param totals One for each id. Warning: as many are read as there are ids, and as whole words; whoever reads them
    /// too refuses those beyond 128 bits.
    function pairsHash(bytes32[] memory ids, uint128[] calldata totals) internal pure returns (bytes32 hash) {
        // Behind the free memory pointer, which stays as it is.
        assembly ("memory-safe") {
            let pairs := mload(0x40)
            let end := pairs
            let count := mload(ids)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let total := calldataload(add(totals.offset, shl(5, i)))
                if total {
                    mstore(end, mload(add(add(ids, 0x20), shl(5, i))))
                    mstore(add(end, 0x20), total)
                    end := add(end, 0x40)
                }
            }
            hash := keccak256(pairs, sub(end, pairs))
        }
    }

    /// @notice The leaf of a receipt or a statement in an anchored tree: H("cloister/anchored: v1", digest).
    /// @dev Whole ABI words of more than 65 bytes under a tag: neither a node of the tree nor a leaf of another one.
    function anchoredLeaf(bytes32 digest) internal pure returns (bytes32) {
        return keccak256(abi.encode("cloister/anchored: v1", digest));
    }
}
