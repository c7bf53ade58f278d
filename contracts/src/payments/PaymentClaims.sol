// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {CompactSignature} from "../libraries/CompactSignature.sol";
import {ReceiptLib} from "../receipts/ReceiptLib.sol";
import {ChannelBalance} from "./ChannelBalances.sol";
import {ClaimBatch, ClaimBatches, ClaimEntry, KeptBalance} from "./ClaimBatch.sol";
import {ClaimCalldata} from "./ClaimCalldata.sol";
import {IPayments} from "./IPayments.sol";
import {PaymentRecords} from "./PaymentRecords.sol";
import {PaymentsState} from "./PaymentsState.sol";
import {SignerTotal} from "./SignerTotals.sol";

/// @title PaymentClaims
/// @notice What vouchers and signers' totals bear, credited to the parties.
abstract contract PaymentClaims is PaymentsState {
    /// @inheritdoc IPayments
    function claim(
        address operator,
        ChannelClaim[] calldata channels,
        StatementClaim[] calldata statements
    ) external {
        ClaimBatch batch = _withVouchers(operator, channels);
        for (uint256 i = 0; i < statements.length; ++i) {
            (address signer,) = _countStatement(operator, batch, statements[i]);
            _requireNotEvicted(statements[i].registry, signer);
        }
        _settle(operator, channels, batch);
    }

    /// @inheritdoc IPayments
    function claimAnchored(
        address operator,
        ChannelClaim[] calldata channels,
        StatementClaim[] calldata statements,
        AnchorProof[] calldata proofs
    ) external {
        if (statements.length != proofs.length) revert PaymentsProofsLengthMismatch(statements.length, proofs.length);
        ClaimBatch batch = _withVouchers(operator, channels);
        for (uint256 i = 0; i < statements.length; ++i) {
            (address signer, bytes32 digest) = _countStatement(operator, batch, statements[i]);
            _requireAnchoredInTime(statements[i].registry, signer, digest, proofs[i]);
        }
        _settle(operator, channels, batch);
    }

    /// @inheritdoc IPayments
    function claimByReceipts(
        address operator,
        ChannelClaim[] calldata channels,
        ReceiptClaim[] calldata receipts
    ) external {
        ClaimBatch batch = _withVouchers(operator, channels);
        for (uint256 i = 0; i < receipts.length; ++i) {
            (address signer,) = _countReceipt(operator, batch, receipts[i]);
            _requireNotEvicted(receipts[i].registry, signer);
        }
        _settle(operator, channels, batch);
    }

    /// @inheritdoc IPayments
    function claimByAnchoredReceipts(
        address operator,
        ChannelClaim[] calldata channels,
        ReceiptClaim[] calldata receipts,
        AnchorProof[] calldata proofs
    ) external {
        if (receipts.length != proofs.length) revert PaymentsProofsLengthMismatch(receipts.length, proofs.length);
        ClaimBatch batch = _withVouchers(operator, channels);
        for (uint256 i = 0; i < receipts.length; ++i) {
            (address signer, bytes32 digest) = _countReceipt(operator, batch, receipts[i]);
            _requireAnchoredInTime(receipts[i].registry, signer, digest, proofs[i]);
        }
        _settle(operator, channels, batch);
    }

    /// @dev The channels' ids, and their balances with the vouchers counted. Nothing is written.
    function _withVouchers(
        address operator,
        ChannelClaim[] calldata channels
    ) private view returns (ClaimBatch batch) {
        uint256 count = channels.length;
        _checkBatch(count);
        batch = ClaimBatches.allocate(count);
        uint256 idWords = PaymentRecords.channelIdWords(block.chainid, address(this), operator);
        uint256 voucherWords = PaymentRecords.voucherWords(voucherDomainSeparator());
        bytes32 previous;
        for (uint256 i = 0; i < count; i = _next(i)) {
            ChannelClaim calldata shown = ClaimCalldata.at(channels, i);
            bytes32 id = PaymentRecords.channelIdOf(idWords, shown.channel);
            if (id <= previous) revert PaymentsChannelsNotAscending(previous, id);
            previous = id;
            KeptBalance storage kept = _balances[id];
            ChannelBalance balance = kept.value;
            if (!balance.isOpened()) revert PaymentsChannelUnknown(id);
            ChannelBalance counted = balance;
            uint256 amount = ClaimCalldata.maxClaimableAmount(shown);
            if (amount > balance.voucher()) {
                bytes32 digest = PaymentRecords.voucherDigestOf(voucherWords, id, amount);
                address signer = CompactSignature.recover(digest, shown.r, shown.vs);
                address payerKey = ClaimCalldata.payerKey(shown);
                if (signer != payerKey) revert PaymentsVoucherNotByPayerKey(id, signer, payerKey);
                counted = balance.withVoucher(amount);
            }
            batch.at(i).set(id, kept, balance, counted);
        }
    }

    /// @dev No overflow: an index is below a length.
    function _next(uint256 index) private pure returns (uint256) {
        unchecked {
            return index + 1;
        }
    }

    /// @dev Counts a statement's totals into the balances in memory. Whether its signer's statements still count is left
    /// to the caller.
    function _countStatement(
        address operator,
        ClaimBatch batch,
        StatementClaim calldata statement
    ) private returns (address signer, bytes32 digest) {
        bytes calldata totals = statement.totals;
        uint256 count = batch.length();
        if (totals.length != count * ClaimBatches.TOTAL_BYTES) {
            revert PaymentsTotalsLengthMismatch(count * ClaimBatches.TOTAL_BYTES, totals.length);
        }
        address registry = address(statement.registry);
        digest = PaymentRecords.statementDigest(
            batch.pairsHash(totals),
            statement.blockNumber,
            PaymentRecords.recordDomainSeparator(block.chainid, registry)
        );
        signer = CompactSignature.recover(digest, statement.r, statement.vs);

        mapping(bytes32 => KeptTotal) storage signersTotals = _totals[signer];
        bool known = true;
        bool counted;
        for (uint256 i = 0; i < count; i = _next(i)) {
            uint256 total = ClaimCalldata.totalAt(totals, i);
            if (total == 0) continue;
            counted = true;
            ClaimEntry entry = batch.at(i);
            KeptTotal storage kept = signersTotals[entry.id()];
            SignerTotal before = kept.value;
            if (!before.isBy(registry)) known = false;
            uint256 increase = before.increaseTo(total);
            if (increase == 0) continue;
            kept.value = before.plus(increase, registry);
            entry.setCounted(entry.counted().plusEarned(increase));
        }
        if (!counted) revert PaymentsStatementEmpty(signer);
        if (!known) _requireOperator(operator, signer, registry);
    }

    /// @dev The same with one receipt.
    function _countReceipt(
        address operator,
        ClaimBatch batch,
        ReceiptClaim calldata shown
    ) private returns (address signer, bytes32 digest) {
        uint256 index = shown.channelIndex;
        if (index >= batch.length()) revert PaymentsIndexOutOfRange(index, batch.length());
        ClaimEntry entry = batch.at(index);
        bytes32 id = entry.id();
        if (shown.receipt.channel != id) revert PaymentsReceiptOfAnotherChannel(id, shown.receipt.channel);
        address registry = address(shown.registry);
        digest = ReceiptLib.digest(shown.receipt, PaymentRecords.recordDomainSeparator(block.chainid, registry));
        signer = CompactSignature.recover(digest, shown.r, shown.vs);

        KeptTotal storage kept = _totals[signer][id];
        SignerTotal before = kept.value;
        if (!before.isBy(registry)) _requireOperator(operator, signer, registry);
        uint256 increase = before.increaseTo(shown.receipt.cumulativeFee);
        if (increase == 0) return (signer, digest);
        kept.value = before.plus(increase, registry);
        entry.setCounted(entry.counted().plusEarned(increase));
    }

    /// @dev Writes the balances and credits what they claim more, once for neighbours with the same gateway.
    function _settle(
        address operator,
        ChannelClaim[] calldata channels,
        ClaimBatch batch
    ) private {
        address gateway;
        uint256 credit;
        uint256 count = batch.length();
        for (uint256 i = 0; i < count; i = _next(i)) {
            ClaimEntry entry = batch.at(i);
            (ChannelBalance stored, ChannelBalance balance) = (entry.stored(), entry.counted());
            if (ChannelBalance.unwrap(balance) == ChannelBalance.unwrap(stored)) continue;
            entry.kept().value = balance;
            uint256 paid = balance.claimedSince(stored);
            emit ChannelClaimed(entry.id(), paid);
            if (paid == 0) continue;
            address through = ClaimCalldata.gateway(ClaimCalldata.at(channels, i));
            if (through != gateway) {
                if (credit > 0) _credit(operator, gateway, credit);
                (gateway, credit) = (through, 0);
            }
            // No overflow: at most MAX_BATCH times MAX_DEPOSIT.
            unchecked {
                credit += paid;
            }
        }
        if (credit > 0) _credit(operator, gateway, credit);
    }

    /// @dev That the signer is a worker's of the operator, in the present registry.
    function _requireOperator(address operator, address signer, address registry) private view {
        address current = address(workerRegistry);
        if (registry != current) revert PaymentsRegistryNotCurrent(registry, current);
        bytes32 workerId = IWorkerRegistry(registry).workerOf(signer);
        address signersOperator = workerId == 0 ? address(0) : IWorkerRegistry(registry).statusOf(workerId).operator;
        if (operator != signersOperator) revert PaymentsSignerNotOfOperator(signer, operator, signersOperator);
    }

    /// @dev The registry is asked only after it was found to be the present one or one that vouched for this signer.
    function _requireNotEvicted(IWorkerRegistry registry, address signer) private view {
        uint64 evictionBlock = registry.evictionBlockOf(signer);
        if (evictionBlock != 0) revert PaymentsSignerEvicted(signer, evictionBlock);
    }

    function _requireAnchoredInTime(
        IWorkerRegistry registry,
        address signer,
        bytes32 digest,
        AnchorProof calldata proof
    ) private view {
        uint64 blockNumber = _anchoredBlock(digest, proof);
        uint64 evictionBlock = registry.evictionBlockOf(signer);
        if (evictionBlock != 0 && blockNumber >= evictionBlock) {
            revert PaymentsAnchoredTooLate(signer, evictionBlock, blockNumber);
        }
    }
}
