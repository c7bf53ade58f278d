// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Governed} from "../governance/Governed.sol";
import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {ReceiptLib} from "../receipts/ReceiptLib.sol";
import {Anchors} from "./Anchors.sol";
import {ChannelBalance, ChannelBalances} from "./ChannelBalances.sol";
import {FeeLedger} from "./FeeLedger.sol";
import {IPayments} from "./IPayments.sol";
import {Channel, PaymentRecords} from "./PaymentRecords.sol";
import {SignerTotal, SignerTotals} from "./SignerTotals.sol";

/// @title Payments
contract Payments is IPayments, FeeLedger, Anchors {
    /// @dev A claim's channels in memory: their ids, and their balances with what was counted so far.
    struct Batch {
        bytes32[] ids;
        ChannelBalance[] balances;
    }

    struct Withdrawal {
        // ### one slot
        uint128 amount;
        uint64 withdrawableAt;
    }

    uint256 public constant MAX_BATCH = 256;
    uint256 public constant MAX_DEPOSIT = ChannelBalances.MAX_AMOUNT;
    uint128 public constant CLOSE = type(uint128).max;
    uint64 public constant MIN_WITHDRAWAL_DELAY = 15 minutes;
    uint64 public constant MAX_WITHDRAWAL_DELAY = 30 days;

    /// @inheritdoc IPayments
    uint64 public immutable withdrawalDelay;

    /// @inheritdoc IPayments
    IWorkerRegistry public workerRegistry;

    mapping(bytes32 channel => ChannelBalance) private _balances;
    mapping(bytes32 channel => mapping(address signer => SignerTotal)) private _totals;
    mapping(bytes32 channel => Withdrawal) private _withdrawals;

    constructor(PaymentsSettings memory settings)
        Governed(settings.timelock)
        FeeLedger(settings.token, settings.stakePools, settings.gatekeepers, settings.treasury, settings.shares)
    {
        uint64 delay = settings.withdrawalDelay;
        if (delay < MIN_WITHDRAWAL_DELAY || delay > MAX_WITHDRAWAL_DELAY) {
            revert PaymentsDelayOutOfRange(delay, MIN_WITHDRAWAL_DELAY, MAX_WITHDRAWAL_DELAY);
        }
        withdrawalDelay = delay;
        _setWorkerRegistry(settings.workerRegistry);
    }

    /* DEPOSITS */

    /// @inheritdoc IPayments
    function deposit(Deposit[] calldata deposits) external {
        _takeIn(msg.sender, _add(deposits, msg.sender));
    }

    /// @inheritdoc IPayments
    function depositWithPermit(
        Deposit[] calldata deposits,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        uint256 sum = _add(deposits, msg.sender);
        // Whether it worked, the transfer shows.
        try IERC20Permit(address(token)).permit(msg.sender, address(this), sum, deadline, v, r, s) {} catch {}
        _takeIn(msg.sender, sum);
    }

    /// @inheritdoc IPayments
    function depositWithAuthorization(
        Deposit[] calldata deposits,
        address from,
        bytes32 salt,
        uint256 validAfter,
        uint256 validBefore,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        uint256 sum = _add(deposits, from);
        totalHeld += sum;
        bytes32 nonce = authorizationNonce(deposits, salt);
        IERC3009(address(token)).receiveWithAuthorization(
            from, address(this), sum, validAfter, validBefore, nonce, v, r, s
        );
    }

    /* CLAIMS */

    /// @inheritdoc IPayments
    function claim(ChannelClaim[] calldata channels, StatementClaim[] calldata statements) external {
        Batch memory batch = _withVouchers(channels);
        for (uint256 i = 0; i < statements.length; ++i) {
            (address signer,) = _countStatement(channels, batch, statements[i]);
            _requireNotEvicted(statements[i].registry, signer);
        }
        _settle(channels, batch);
    }

    /// @inheritdoc IPayments
    function claimAnchored(
        ChannelClaim[] calldata channels,
        StatementClaim[] calldata statements,
        AnchorProof[] calldata proofs
    ) external {
        if (statements.length != proofs.length) revert PaymentsProofsLengthMismatch(statements.length, proofs.length);
        Batch memory batch = _withVouchers(channels);
        for (uint256 i = 0; i < statements.length; ++i) {
            (address signer, bytes32 digest) = _countStatement(channels, batch, statements[i]);
            _requireAnchoredInTime(statements[i].registry, signer, digest, proofs[i]);
        }
        _settle(channels, batch);
    }

    /// @inheritdoc IPayments
    function claimByReceipts(ChannelClaim[] calldata channels, ReceiptClaim[] calldata receipts) external {
        Batch memory batch = _withVouchers(channels);
        for (uint256 i = 0; i < receipts.length; ++i) {
            (address signer,) = _countReceipt(channels, batch, receipts[i]);
            _requireNotEvicted(receipts[i].registry, signer);
        }
        _settle(channels, batch);
    }

    /// @inheritdoc IPayments
    function claimByAnchoredReceipts(
        ChannelClaim[] calldata channels,
        ReceiptClaim[] calldata receipts,
        AnchorProof[] calldata proofs
    ) external {
        if (receipts.length != proofs.length) revert PaymentsProofsLengthMismatch(receipts.length, proofs.length);
        Batch memory batch = _withVouchers(channels);
        for (uint256 i = 0; i < receipts.length; ++i) {
            (address signer, bytes32 digest) = _countReceipt(channels, batch, receipts[i]);
            _requireAnchoredInTime(receipts[i].registry, signer, digest, proofs[i]);
        }
        _settle(channels, batch);
    }

    /* WITHDRAWALS */

    /// @inheritdoc IPayments
    function requestWithdrawal(Channel calldata channel, uint128 amount) external {
        if (amount == 0 || amount > MAX_DEPOSIT) revert PaymentsAmountOutOfRange(amount, MAX_DEPOSIT);
        _request(channel, amount);
    }

    /// @inheritdoc IPayments
    function requestClose(Channel calldata channel) external {
        _request(channel, CLOSE);
    }

    /// @inheritdoc IPayments
    function cancelWithdrawal(Channel calldata channel) external {
        if (msg.sender != channel.payer) revert PaymentsCallerNotPayer(msg.sender, channel.payer);
        bytes32 id = channelId(channel);
        if (_withdrawals[id].withdrawableAt == 0) revert PaymentsNoWithdrawal(id);
        delete _withdrawals[id];
        emit WithdrawalCancelled(id);
    }

    /// @inheritdoc IPayments
    function withdraw(Channel calldata channel) external {
        bytes32 id = channelId(channel);
        Withdrawal memory wish = _withdrawals[id];
        if (wish.withdrawableAt == 0) revert PaymentsNoWithdrawal(id);
        if (block.timestamp < wish.withdrawableAt) {
            revert PaymentsNotWithdrawable(id, wish.withdrawableAt, block.timestamp);
        }
        delete _withdrawals[id];

        ChannelBalance balance = _balances[id];
        uint256 left = balance.left();
        uint256 amount = wish.amount < left ? wish.amount : left;
        balance = balance.minusDeposit(amount);
        if (wish.amount == CLOSE) {
            balance = balance.closed();
            emit ChannelClosed(id);
        }
        _balances[id] = balance;
        emit Withdrawn(id, channel.payer, amount);
        _payBack(channel.payer, amount);
    }

    /// @inheritdoc IPayments
    function release(Channel calldata channel, uint128 amount) external {
        if (msg.sender != channel.operator) revert PaymentsCallerNotOperator(msg.sender, channel.operator);
        bytes32 id = channelId(channel);
        ChannelBalance balance = _balances[id];
        uint256 left = balance.left();
        if (amount == 0 || amount > left) revert PaymentsAmountOutOfRange(amount, left);
        _balances[id] = balance.minusDeposit(amount);
        emit Released(id, channel.payer, amount);
        _payBack(channel.payer, amount);
    }

    /* GOVERNANCE */

    /// @inheritdoc IPayments
    function setWorkerRegistry(IWorkerRegistry workerRegistry_) external onlyTimelock {
        _setWorkerRegistry(workerRegistry_);
    }

    /* VIEWS */

    /// @inheritdoc IPayments
    function channelId(Channel calldata channel) public view returns (bytes32) {
        return PaymentRecords.channelId(block.chainid, address(this), channel);
    }

    /// @inheritdoc IPayments
    function channelOf(bytes32 channel) external view returns (ChannelState memory) {
        ChannelBalance balance = _balances[channel];
        Withdrawal memory wish = _withdrawals[channel];
        return ChannelState({
            deposited: balance.deposited(),
            voucher: balance.voucher(),
            earned: balance.earned(),
            claimed: balance.claimed(),
            withdrawing: wish.amount,
            withdrawableAt: wish.withdrawableAt,
            opened: balance.isOpened(),
            closed: balance.isClosed()
        });
    }

    /// @inheritdoc IPayments
    function totalOf(bytes32 channel, address signer) external view returns (uint256 total, address registry) {
        SignerTotal known = _totals[channel][signer];
        return (known.total(), known.registry());
    }

    /// @inheritdoc IPayments
    function authorizationNonce(Deposit[] calldata deposits, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode("cloister/deposits: v1", salt, keccak256(abi.encode(deposits))));
    }

    /// @inheritdoc IPayments
    function voucherDomainSeparator() public view returns (bytes32) {
        // Built each time, not kept: after a fork of the chain, vouchers of the other side must not hold.
        return PaymentRecords.voucherDomainSeparator(block.chainid, address(this));
    }

    /// @inheritdoc IPayments
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (
            hex"0f",
            PaymentRecords.VOUCHER_DOMAIN_NAME,
            PaymentRecords.VOUCHER_DOMAIN_VERSION,
            block.chainid,
            address(this),
            bytes32(0),
            new uint256[](0)
        );
    }

    /* DEPOSITS, INSIDE */

    /// @return sum Of all deposits. No overflow: at most MAX_BATCH times MAX_DEPOSIT.
    function _add(Deposit[] calldata deposits, address funder) private returns (uint256 sum) {
        _checkBatch(deposits.length);
        for (uint256 i = 0; i < deposits.length; ++i) {
            sum += deposits[i].amount;
            _addOne(deposits[i].channel, deposits[i].amount, funder);
        }
    }

    function _addOne(Channel calldata channel, uint256 amount, address funder) private {
        bytes32 id = channelId(channel);
        ChannelBalance before = _balances[id];
        if (before.isClosed()) revert PaymentsChannelClosed(id);
        uint256 room = MAX_DEPOSIT - before.deposited();
        if (amount == 0 || amount > room) revert PaymentsAmountOutOfRange(amount, room);
        ChannelBalance balance = before.plusDeposit(amount);
        if (!before.isOpened()) {
            if (channel.payer != funder) revert PaymentsPayerNotFunder(id, channel.payer, funder);
            if (channel.operator == address(0) || channel.payerKey == address(0)) revert PaymentsPartyMissing(id);
            balance = balance.opened();
            emit ChannelOpened(id, channel.payer, channel.operator, channel);
        }
        _balances[id] = balance;
        emit Deposited(id, funder, amount);

        // What was earned beyond the deposit before is paid of the new one.
        uint256 paid = balance.claimed() - before.claimed();
        if (paid > 0) {
            emit ChannelClaimed(id, paid);
            _credit(channel.operator, channel.gateway, paid);
        }
    }

    /* CLAIMS, INSIDE */

    /// @dev The channels' ids, and their balances with the vouchers counted. Nothing is written.
    function _withVouchers(ChannelClaim[] calldata channels) private view returns (Batch memory batch) {
        uint256 count = channels.length;
        _checkBatch(count);
        batch.ids = new bytes32[](count);
        batch.balances = new ChannelBalance[](count);
        bytes32 separator = voucherDomainSeparator();
        bytes32 previous;
        for (uint256 i = 0; i < count; ++i) {
            bytes32 id = channelId(channels[i].channel);
            if (id <= previous) revert PaymentsChannelsNotAscending(previous, id);
            ChannelBalance balance = _balances[id];
            if (!balance.isOpened()) revert PaymentsChannelUnknown(id);
            batch.balances[i] = _withVoucher(balance, id, channels[i], separator);
            previous = batch.ids[i] = id;
        }
    }

    function _withVoucher(
        ChannelBalance balance,
        bytes32 id,
        ChannelClaim calldata shown,
        bytes32 separator
    ) private pure returns (ChannelBalance) {
        uint256 amount = shown.maxClaimableAmount;
        if (amount <= balance.voucher()) return balance;
        address signer = ECDSA.recover(PaymentRecords.voucherDigest(id, amount, separator), shown.r, shown.vs);
        address payerKey = shown.channel.payerKey;
        if (signer != payerKey) revert PaymentsVoucherNotByPayerKey(id, signer, payerKey);
        return balance.withVoucher(amount);
    }

    /// @dev Counts a statement's totals into the balances in memory. Whether its signer's statements still count is left
    /// to the caller.
    function _countStatement(
        ChannelClaim[] calldata channels,
        Batch memory batch,
        StatementClaim calldata statement
    ) private returns (address signer, bytes32 digest) {
        uint256 count = batch.ids.length;
        if (statement.totals.length != count) revert PaymentsTotalsLengthMismatch(count, statement.totals.length);
        IWorkerRegistry registry = statement.registry;
        digest = PaymentRecords.statementDigest(
            PaymentRecords.pairsHash(batch.ids, statement.totals),
            statement.blockNumber,
            ReceiptLib.domainSeparator(block.chainid, address(registry))
        );
        signer = ECDSA.recover(digest, statement.r, statement.vs);

        address signersOperator;
        bool counted;
        for (uint256 i = 0; i < count; ++i) {
            uint256 total = statement.totals[i];
            if (total == 0) continue;
            counted = true;
            bytes32 id = batch.ids[i];
            SignerTotal known = _totals[id][signer];
            if (known.total() == 0 || known.registry() != address(registry)) {
                if (signersOperator == address(0)) signersOperator = _operatorOf(registry, signer);
                _requireOperator(signer, channels[i].channel.operator, signersOperator);
            }
            uint256 increase = _raise(id, signer, known, registry, total);
            batch.balances[i] = batch.balances[i].plusEarned(increase);
        }
        if (!counted) revert PaymentsStatementEmpty(signer);
    }

    /// @dev The same with one receipt.
    function _countReceipt(
        ChannelClaim[] calldata channels,
        Batch memory batch,
        ReceiptClaim calldata shown
    ) private returns (address signer, bytes32 digest) {
        uint256 index = shown.channelIndex;
        if (index >= batch.ids.length) revert PaymentsIndexOutOfRange(index, batch.ids.length);
        bytes32 id = batch.ids[index];
        if (shown.receipt.channel != id) revert PaymentsReceiptOfAnotherChannel(id, shown.receipt.channel);
        IWorkerRegistry registry = shown.registry;
        digest = ReceiptLib.digest(shown.receipt, ReceiptLib.domainSeparator(block.chainid, address(registry)));
        signer = ECDSA.recover(digest, shown.r, shown.vs);

        SignerTotal known = _totals[id][signer];
        if (known.total() == 0 || known.registry() != address(registry)) {
            _requireOperator(signer, channels[index].channel.operator, _operatorOf(registry, signer));
        }
        uint256 increase = _raise(id, signer, known, registry, shown.receipt.cumulativeFee);
        batch.balances[index] = batch.balances[index].plusEarned(increase);
    }

    /// @dev Keeps a higher total.
    /// @return increase By how much it is higher; zero for one that is not.
    function _raise(
        bytes32 id,
        address signer,
        SignerTotal known,
        IWorkerRegistry registry,
        uint256 total
    ) private returns (uint256 increase) {
        SignerTotal raised = SignerTotals.pack(address(registry), total);
        // Both are cut alike, so that nothing is counted twice.
        if (raised.total() <= known.total()) return 0;
        _totals[id][signer] = raised;
        return raised.total() - known.total();
    }

    /// @dev Writes the balances and credits what they claim more, once for neighbours with the same parties.
    function _settle(
        ChannelClaim[] calldata channels,
        Batch memory batch
    ) private {
        address operator;
        address gateway;
        uint256 credit;
        for (uint256 i = 0; i < batch.ids.length; ++i) {
            bytes32 id = batch.ids[i];
            ChannelBalance balance = batch.balances[i];
            ChannelBalance before = _balances[id];
            if (ChannelBalance.unwrap(balance) == ChannelBalance.unwrap(before)) continue;
            _balances[id] = balance;
            uint256 paid = balance.claimed() - before.claimed();
            emit ChannelClaimed(id, paid);
            if (paid == 0) continue;
            Channel calldata channel = channels[i].channel;
            if (channel.operator != operator || channel.gateway != gateway) {
                if (credit > 0) _credit(operator, gateway, credit);
                (operator, gateway, credit) = (channel.operator, channel.gateway, 0);
            }
            credit += paid;
        }
        if (credit > 0) _credit(operator, gateway, credit);
    }

    /// @dev Whose worker the signer is, in the present registry. Zero where nobody's.
    function _operatorOf(IWorkerRegistry registry, address signer) private view returns (address operator) {
        address current = address(workerRegistry);
        if (address(registry) != current) revert PaymentsRegistryNotCurrent(address(registry), current);
        bytes32 workerId = registry.workerOf(signer);
        if (workerId != 0) operator = registry.statusOf(workerId).operator;
    }

    function _requireOperator(address signer, address operator, address signersOperator) private pure {
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

    /* THE REST, INSIDE */

    function _request(Channel calldata channel, uint128 amount) private {
        if (msg.sender != channel.payer) revert PaymentsCallerNotPayer(msg.sender, channel.payer);
        bytes32 id = channelId(channel);
        if (!_balances[id].isOpened()) revert PaymentsChannelUnknown(id);
        uint64 withdrawableAt = uint64(block.timestamp) + withdrawalDelay;
        _withdrawals[id] = Withdrawal(amount, withdrawableAt);
        emit WithdrawalRequested(id, amount, withdrawableAt);
    }

    function _checkBatch(uint256 length) private pure {
        if (length == 0 || length > MAX_BATCH) revert PaymentsBatchOutOfRange(length, MAX_BATCH);
    }

    function _setWorkerRegistry(IWorkerRegistry workerRegistry_) private {
        if (address(workerRegistry_).code.length == 0) revert PaymentsRegistryWithoutCode(address(workerRegistry_));
        workerRegistry = workerRegistry_;
        emit WorkerRegistrySet(address(workerRegistry_));
    }
}
