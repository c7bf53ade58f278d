// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Channel, PaymentRecords} from "../../src/payments/PaymentRecords.sol";
import {ReceiptLib} from "../../src/receipts/ReceiptLib.sol";

/// @notice The library's functions as external ones.
contract PaymentRecordsHarness {
    function channelId(
        uint256 chainId,
        address payments,
        Channel calldata channel
    ) external pure returns (bytes32) {
        return PaymentRecords.channelId(chainId, payments, channel);
    }

    function voucherDomainSeparator(uint256 chainId, address payments) external pure returns (bytes32) {
        return PaymentRecords.voucherDomainSeparator(chainId, payments);
    }

    function voucherDigest(
        bytes32 channel,
        uint256 maxClaimableAmount,
        bytes32 separator
    ) external pure returns (bytes32) {
        return PaymentRecords.voucherDigest(channel, maxClaimableAmount, separator);
    }

    function statementDigest(
        bytes32[] memory ids,
        uint128[] calldata totals,
        uint64 blockNumber,
        uint256 chainId,
        address registry
    ) external pure returns (bytes32 pairs, bytes32 digest) {
        pairs = PaymentRecords.pairsHash(ids, totals);
        digest = PaymentRecords.statementDigest(pairs, blockNumber, ReceiptLib.domainSeparator(chainId, registry));
    }

    function anchoredLeaf(bytes32 digest) external pure returns (bytes32) {
        return PaymentRecords.anchoredLeaf(digest);
    }
}
