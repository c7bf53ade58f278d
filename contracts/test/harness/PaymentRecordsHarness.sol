// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelBalance} from "../../src/payments/ChannelBalances.sol";
import {ClaimBatch, ClaimBatches, KeptBalance} from "../../src/payments/ClaimBatch.sol";
import {Channel, OperatorChannel, PaymentRecords} from "../../src/payments/PaymentRecords.sol";
import {ReceiptLib} from "../../src/receipts/ReceiptLib.sol";

/// @notice The library's functions as external ones.
contract PaymentRecordsHarness {
    KeptBalance private _kept;

    function channelId(
        uint256 chainId,
        address payments,
        Channel calldata channel
    ) external pure returns (bytes32) {
        return PaymentRecords.channelId(chainId, payments, channel);
    }

    function operatorChannelId(
        uint256 chainId,
        address payments,
        address operator,
        OperatorChannel calldata channel
    ) external pure returns (bytes32) {
        return PaymentRecords.channelIdOf(PaymentRecords.channelIdWords(chainId, payments, operator), channel);
    }

    function voucherDomainSeparator(uint256 chainId, address payments) external pure returns (bytes32) {
        return PaymentRecords.voucherDomainSeparator(chainId, payments);
    }

    function voucherDigest(
        bytes32 channel,
        uint256 maxClaimableAmount,
        bytes32 separator
    ) external pure returns (bytes32) {
        return PaymentRecords.voucherDigestOf(PaymentRecords.voucherWords(separator), channel, maxClaimableAmount);
    }

    function statementDigest(
        bytes32[] memory ids,
        bytes calldata totals,
        uint64 blockNumber,
        uint256 chainId,
        address registry
    ) external view returns (bytes32 pairs, bytes32 digest) {
        ClaimBatch batch = ClaimBatches.allocate(ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            batch.at(i).set(ids[i], _kept, ChannelBalance.wrap(0), ChannelBalance.wrap(0));
        }
        pairs = batch.pairsHash(totals);
        digest = PaymentRecords.statementDigest(pairs, blockNumber, ReceiptLib.domainSeparator(chainId, registry));
    }

    function anchoredLeaf(bytes32 digest) external pure returns (bytes32) {
        return PaymentRecords.anchoredLeaf(digest);
    }
}
