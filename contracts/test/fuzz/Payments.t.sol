// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry, IWorkerRegistryTypes} from "../../src/IWorkerRegistry.sol";
import {IAnchorsTypes} from "../../src/payments/IAnchors.sol";
import {IFeeLedgerTypes} from "../../src/payments/IFeeLedger.sol";
import {IPayments, IPaymentsTypes} from "../../src/payments/IPayments.sol";
import {Channel, OperatorChannel} from "../../src/payments/PaymentRecords.sol";
import {Receipt, ReceiptLib} from "../../src/receipts/ReceiptLib.sol";
import {FeeSinkHarness} from "../harness/FeeSinkHarness.sol";
import {PaymentRecordsHarness} from "../harness/PaymentRecordsHarness.sol";
import {PhaTokenHarness} from "../harness/PhaTokenHarness.sol";
import {VectorHarness} from "../harness/VectorHarness.sol";
import {bound, deployCompiled, vm} from "./Vm.sol";

/// @notice Three payers with two channels each, two operators with two signers each, one with a pool, a gateway, a sponsor
/// and a thief, in random order. What should be is counted beside the contract, in the plainest way. This contract is the
/// timelock and the registry.
contract PaymentsFuzzTest {
    uint256 private constant CHANNELS = 6;
    uint256 private constant PAYERS = 3;
    uint256 private constant SIGNERS = 4;
    uint256 private constant STEPS = 40;
    uint64 private constant DELAY = 1 hours;
    uint256 private constant RICH = 100_000_000e18;
    /// @dev Of operator 0; the other one has none.
    address private constant GATEWAY = address(0x6a7e);
    address private constant GATEKEEPERS = address(0x6a7e2);
    address private constant TREASURY = address(0x6a7e3);
    address private constant SPONSOR = address(0xbeef);
    /// @dev Keys: payers 1000 + i, payer keys 2000 + channel, signers 3000 + i, the thief's.
    uint256 private constant THIEF = 4_000;

    /// @dev What is known of a channel without asking the contract.
    struct Seen {
        uint256 deposited;
        uint256 voucher;
        uint256 earned;
        uint256 put;
        uint256 back;
        uint64 withdrawableAt;
        uint128 withdrawing;
        bool opened;
        bool closed;
    }

    /// @dev A statement that was anchored and may be shown later.
    struct Kept {
        uint256 signer;
        uint256 mask;
        uint256 seed;
        bytes32 root;
        uint64 blockNumber;
    }

    PhaTokenHarness private _token;
    FeeSinkHarness private _sink;
    IPayments private _payments;
    IPayments private _others;
    PaymentRecordsHarness private _records;
    VectorHarness private _vectors;

    Seen[CHANNELS] private _seen;
    uint256[SIGNERS][CHANNELS] private _totals;
    uint64[SIGNERS] private _evictedAt;
    Kept[] private _kept;
    uint256[2] private _distributed;
    uint256 private _collected;
    uint256 private _surplus;

    function setUp() external {
        vm.warp(1_800_000_000);
        vm.roll(1_000);
        _token = new PhaTokenHarness(new address[](0), new uint256[](0));
        _sink = new FeeSinkHarness(_token);
        _sink.openPool(_operator(0));
        _records = new PaymentRecordsHarness();
        _vectors = new VectorHarness();
        _payments = _deploy();
        _others = _deploy();
        for (uint256 i = 0; i < PAYERS; ++i) _fund(vm.addr(_payerSecret(i)));
        _fund(SPONSOR);
        _fund(vm.addr(THIEF));
    }

    /* THE REGISTRY */

    function workerOf(address signer) external pure returns (bytes32) {
        for (uint256 i = 0; i < SIGNERS; ++i) {
            if (vm.addr(_signerSecret(i)) == signer) return bytes32(i + 1);
        }
        return 0;
    }

    function statusOf(bytes32 worker) external pure returns (IWorkerRegistryTypes.WorkerStatus memory status) {
        status.operator = _operator((uint256(worker) - 1) / 2);
    }

    function evictionBlockOf(address signer) external view returns (uint64) {
        for (uint256 i = 0; i < SIGNERS; ++i) {
            if (vm.addr(_signerSecret(i)) == signer) return _evictedAt[i];
        }
        return 0;
    }

    /* PROPERTIES */

    /// @notice Whatever happens in whatever order: the contract has to the unit what it holds for anyone and what came by
    /// mistake; each channel is as it should be, claimed no more than deposited and no more than the highest voucher;
    /// what it claimed is what its parties are owed or were paid; and in the end every payer gets back all that was not
    /// earned, every party what was, and nothing is left.
    function testFuzz_anyOrder(uint256[STEPS] calldata seeds) external {
        for (uint256 i = 0; i < STEPS; ++i) {
            _step(seeds[i] % 26, seeds[i] >> 8);
            _checkBooks();
        }
        _everybodyLeaves();
    }

    /// @notice The same deposits and claims in two orders, in two contracts: the same channels, totals and fees.
    function testFuzz_orderOfClaims(uint256[8] calldata seeds, uint256 order) external {
        for (uint256 i = 0; i < CHANNELS; ++i) {
            _put(_payments, i, 1);
            _put(_others, i, 1);
        }
        uint256[8] memory places;
        for (uint256 i = 0; i < 8; ++i) places[i] = i;
        for (uint256 i = 0; i < 8; ++i) {
            uint256 other = i + order % (8 - i);
            order /= 8 - i;
            (places[i], places[other]) = (places[other], places[i]);
        }
        for (uint256 i = 0; i < 8; ++i) {
            _act(_payments, seeds[i]);
            _act(_others, seeds[places[i]]);
        }
        for (uint256 i = 0; i < CHANNELS; ++i) {
            bytes32 id = _payments.channelId(_channel(i));
            bytes32 otherId = _others.channelId(_channel(i));
            assert(
                keccak256(abi.encode(_payments.channelOf(id))) == keccak256(abi.encode(_others.channelOf(otherId)))
            );
            for (uint256 j = 0; j < SIGNERS; ++j) {
                address signer = vm.addr(_signerSecret(j));
                (uint256 total,) = _payments.totalOf(id, signer);
                (uint256 otherTotal,) = _others.totalOf(otherId, signer);
                assert(total == otherTotal);
            }
        }
        for (uint256 i = 0; i < 2; ++i) {
            assert(
                _payments.undistributed(_operator(i), _gateway(i)) == _others.undistributed(_operator(i), _gateway(i))
            );
        }
        assert(_payments.totalHeld() == _others.totalHeld());
    }

    /// @notice Whatever happened before, and whatever anybody but the payer does meanwhile: after one delay the payer has
    /// all that was not earned by then.
    function testFuzz_payerGetsBackTheRest(uint256[24] calldata seeds, uint256 who, uint256[12] calldata against)
        external
    {
        for (uint256 i = 0; i < seeds.length; ++i) _step(seeds[i] % 26, seeds[i] >> 8);
        uint256 index = who % CHANNELS;
        if (!_seen[index].opened) return;
        _ask(index, _payments.CLOSE());
        for (uint256 i = 0; i < against.length; ++i) _against(against[i], index);
        // Exactly then, however often the channel was added to or claimed from.
        vm.warp(_seen[index].withdrawableAt);
        _withdraw(index);
        assert(_seen[index].closed);
        assert(_seen[index].put == _seen[index].back + _claimedOf(index));
        _checkBooks();
    }

    /// @dev What a thief shows: the channel's place, by whom voucher and total are signed, and how much they say.
    struct Theft {
        uint256 index;
        uint256 signer;
        uint256 payerKey;
        address registry;
        uint256 deposited;
        uint128 shown;
        uint256[] places;
        uint256[CHANNELS] totals;
    }

    /// @notice Without the payer key's voucher, or without an operator's signer, nobody gets a unit out of a channel.
    function testFuzz_nobodyTakes(uint96 amount, uint128 voucher, uint128 total, uint256 who, uint8 kind) external {
        Theft memory theft = _theft(who % CHANNELS, kind % 6);
        theft.deposited = bound(amount, 1, _payments.MAX_DEPOSIT());
        theft.shown = uint128(bound(voucher, 1, type(uint128).max));
        theft.totals[theft.index] = bound(total, 1, type(uint128).max);
        _put(_payments, theft.index, theft.deposited);
        bool pays = kind % 6 == 5;
        _tryToTake(theft, pays);
        uint256 claimed = _claimedIn(theft.index);
        if (!pays) {
            assert(claimed == 0);
            return;
        }
        uint256 earned = theft.totals[theft.index];
        assert(claimed > 0 && claimed <= theft.deposited && claimed <= theft.shown && claimed <= earned);
        assert(claimed == theft.deposited || claimed == theft.shown || claimed == earned || earned >= 1 << 96);
    }

    function _theft(uint256 index, uint256 attack) private view returns (Theft memory theft) {
        theft.index = index;
        theft.signer = _signerSecret(2 * (index % 2));
        theft.payerKey = _keySecret(index);
        theft.registry = address(this);
        theft.places = new uint256[](1);
        theft.places[0] = index;
        // The payer's own account is not its key either.
        if (attack == 0) theft.payerKey = _payerSecret(index % PAYERS);
        if (attack == 1) theft.signer = _signerSecret(2 * ((index + 1) % 2));
        if (attack >= 2 && attack <= 4) theft.signer = THIEF;
        // Of no signer any registry is known: that must not make the registry zero a known one.
        if (attack == 3) theft.registry = address(0);
        // A registry of the thief's own would say anything. The sixth is no attack: it pays.
        if (attack == 4) theft.registry = address(_vectors);
    }

    function _tryToTake(Theft memory theft, bool pays) private {
        IPaymentsTypes.ChannelClaim[] memory channels = new IPaymentsTypes.ChannelClaim[](1);
        IPaymentsTypes.StatementClaim[] memory statements = new IPaymentsTypes.StatementClaim[](1);
        channels[0] = _channelClaim(_payments, theft.index, theft.shown, theft.payerKey);
        (statements[0],) = _statement(_payments, theft.places, theft.totals, theft.signer, theft.registry);
        // Under the other operator's name it is another channel.
        (bool went,) = address(_payments)
            .call(abi.encodeCall(IPayments.claim, (_operator((theft.index + 1) % 2), channels, statements)));
        assert(!went);
        address operator = _operator(theft.index % 2);
        (went,) = address(_payments).call(abi.encodeCall(IPayments.claim, (operator, channels, statements)));
        assert(went == pays);
        IAnchorsTypes.AnchorProof[] memory proofs = new IAnchorsTypes.AnchorProof[](1);
        proofs[0] = _anchor(_payments, theft.places, theft.totals, theft.signer, theft.registry);
        (went,) = address(_payments)
            .call(abi.encodeCall(IPayments.claimAnchored, (operator, channels, statements, proofs)));
        assert(went == pays);
    }

    function _claimedIn(uint256 index) private view returns (uint256) {
        return _payments.channelOf(_payments.channelId(_channel(index))).claimed;
    }

    /* STEPS */

    function _step(uint256 kind, uint256 seed) private {
        uint256 index = seed % CHANNELS;
        uint256 value = seed >> 8;
        if (kind <= 2) _deposit(index, value, kind);
        else if (kind <= 4) _topUp(index, value);
        else if (kind <= 9) _claim(value % 64, value >> 8);
        else if (kind == 10) _claimReceipt(index, value);
        else if (kind == 11) _keep(value % 64, value >> 8);
        else if (kind == 12) _claimKept(value);
        else if (kind <= 14) _ask(index, kind == 13 || value % 4 > 0 ? _wish(value) : _payments.CLOSE());
        else if (kind == 15) _cancel(index);
        else if (kind <= 18) _withdraw(index);
        else if (kind == 19) _release(index, value);
        else if (kind == 20) _advance(value);
        else if (kind == 21) _distribute(index % 2);
        else if (kind == 22) _collect(value);
        else if (kind == 23) _setShares(value);
        else if (kind == 24) _stray(value);
        else if (value % 4 == 0) _evict(value >> 2);
    }

    /// @dev What others do to a payer who leaves: add to the channel, claim from it, govern, take what is theirs.
    function _against(uint256 seed, uint256 index) private {
        uint256 kind = seed % 8;
        uint256 value = seed >> 8;
        if (kind == 0) _topUp(index, value);
        else if (kind <= 3) _claim(value % 64, value >> 8);
        else if (kind == 4) _claimReceipt(index, value);
        else if (kind == 5) _setShares(value);
        else if (kind == 6) _distribute(index % 2);
        else _collect(value);
        // Neither can the operator ask in the payer's name.
        vm.prank(_operator(index % 2));
        (bool went,) = address(_payments).call(abi.encodeCall(IPayments.cancelWithdrawal, (_channel(index))));
        assert(!went);
    }

    /// @dev One deposit or claim that doesn't depend on what was before.
    function _act(IPayments payments, uint256 seed) private {
        uint256 value = seed >> 8;
        if (seed % 4 == 0) {
            _put(payments, value % CHANNELS, bound(value >> 8, 1, 1_000e18));
            return;
        }
        for (uint256 i = 0; i < 2; ++i) {
            uint256 own = _operatorsOf(1 + value % 63, i);
            if (own == 0) continue;
            (IPaymentsTypes.ChannelClaim[] memory channels, IPaymentsTypes.StatementClaim[] memory statements) =
                _batch(payments, own, value >> 8, i);
            payments.claim(_operator(i), channels, statements);
        }
    }

    function _deposit(uint256 index, uint256 value, uint256 how) private {
        uint256 amount = _amount(value);
        uint256 payer = _payerSecret(index % PAYERS);
        IPaymentsTypes.Deposit[] memory deposits = _deposits(index, amount);
        bytes memory call_ = how == 0
            ? abi.encodeCall(IPayments.deposit, (deposits))
            : how == 1 ? _byAuthorization(deposits, amount, payer, value) : _byPermit(deposits, amount, payer);
        // An authorization is carried by whoever wants to.
        vm.prank(how == 1 ? SPONSOR : vm.addr(payer));
        (bool went,) = address(_payments).call(call_);
        assert(went == _fits(index, amount));
        if (went) {
            _seen[index].opened = true;
            _countDeposit(index, amount);
        }
        // A permit has replaced the allowance.
        vm.prank(vm.addr(payer));
        _token.approve(address(_payments), type(uint256).max);
    }

    function _topUp(uint256 index, uint256 value) private {
        uint256 amount = _amount(value);
        vm.prank(SPONSOR);
        (bool went,) = address(_payments).call(abi.encodeCall(IPayments.deposit, (_deposits(index, amount))));
        assert(went == (_seen[index].opened && _fits(index, amount)));
        if (went) _countDeposit(index, amount);
    }

    /// @dev Of both operators' channels, one claim each.
    function _claim(uint256 mask, uint256 seed) private {
        mask = _openOf(mask);
        for (uint256 i = 0; i < 2; ++i) {
            uint256 own = _operatorsOf(mask, i);
            if (own == 0) continue;
            (IPaymentsTypes.ChannelClaim[] memory channels, IPaymentsTypes.StatementClaim[] memory statements) =
                _batch(_payments, own, seed, i);
            vm.prank(SPONSOR);
            (bool went,) =
                address(_payments).call(abi.encodeCall(IPayments.claim, (_operator(i), channels, statements)));
            assert(went == (_evictedAt[_signerOf(seed, i)] == 0));
            if (!went) continue;
            _countVouchers(own, seed);
            _countTotals(own, seed, _signerOf(seed, i));
        }
    }

    function _claimReceipt(uint256 index, uint256 seed) private {
        if (!_seen[index].opened) return;
        uint256 signer = _signerOf(seed, index % 2);
        Receipt memory receipt;
        receipt.channel = _payments.channelId(_channel(index));
        receipt.cumulativeFee = uint128(_totalOf(seed, index));
        bytes32 digest = _vectors.receiptDigest(receipt, _separator(address(this)));
        (bytes32 r, bytes32 vs) = _compact(_signerSecret(signer), digest);
        IPaymentsTypes.ReceiptClaim[] memory receipts = new IPaymentsTypes.ReceiptClaim[](1);
        receipts[0] = IPaymentsTypes.ReceiptClaim(0, IWorkerRegistry(address(this)), r, vs, receipt);
        IPaymentsTypes.ChannelClaim[] memory channels = new IPaymentsTypes.ChannelClaim[](1);
        channels[0] = _channelClaim(_payments, index, uint128(_voucherOf(seed, index)), _keySecret(index));
        (bool went,) = address(_payments)
            .call(abi.encodeCall(IPayments.claimByReceipts, (_operator(index % 2), channels, receipts)));
        assert(went == (_evictedAt[signer] == 0));
        if (!went) return;
        _countVouchers(1 << index, seed);
        _countTotals(1 << index, seed, signer);
    }

    /// @dev A statement over channels of one operator, anchored now.
    function _keep(uint256 mask, uint256 seed) private {
        uint256 signer = seed % SIGNERS;
        mask = _operatorsOf(_openOf(mask), signer / 2);
        if (mask == 0) return;
        IAnchorsTypes.AnchorProof memory proof =
            _anchor(_payments, _sorted(_payments, mask), _totalsOf(mask, seed), _signerSecret(signer), address(this));
        _kept.push(Kept(signer, mask, seed, proof.root, _payments.anchoredAt(proof.root)));
    }

    function _claimKept(uint256 value) private {
        if (_kept.length == 0) return;
        Kept memory kept = _kept[value % _kept.length];
        uint256[] memory places = _sorted(_payments, kept.mask);
        IPaymentsTypes.StatementClaim[] memory statements = new IPaymentsTypes.StatementClaim[](1);
        (statements[0],) = _statement(
            _payments, places, _totalsOf(kept.mask, kept.seed), _signerSecret(kept.signer), address(this)
        );
        IAnchorsTypes.AnchorProof[] memory proofs = new IAnchorsTypes.AnchorProof[](1);
        proofs[0].root = kept.root;
        IPaymentsTypes.ChannelClaim[] memory channels = _channelClaims(_payments, places, kept.seed);
        (bool went,) = address(_payments).call(
            abi.encodeCall(IPayments.claimAnchored, (_operator(kept.signer / 2), channels, statements, proofs))
        );
        uint64 evictedAt = _evictedAt[kept.signer];
        assert(went == (evictedAt == 0 || kept.blockNumber < evictedAt));
        if (!went) return;
        _countVouchers(kept.mask, kept.seed);
        _countTotals(kept.mask, kept.seed, kept.signer);
    }

    function _ask(uint256 index, uint128 amount) private {
        bytes memory call_ = amount == _payments.CLOSE()
            ? abi.encodeCall(IPayments.requestClose, (_channel(index)))
            : abi.encodeCall(IPayments.requestWithdrawal, (_channel(index), amount));
        vm.prank(vm.addr(_payerSecret(index % PAYERS)));
        (bool went,) = address(_payments).call(call_);
        assert(went == _seen[index].opened);
        if (went) (_seen[index].withdrawing, _seen[index].withdrawableAt) = (amount, uint64(vm.getBlockTimestamp()) + DELAY);
    }

    function _cancel(uint256 index) private {
        vm.prank(vm.addr(_payerSecret(index % PAYERS)));
        (bool went,) = address(_payments).call(abi.encodeCall(IPayments.cancelWithdrawal, (_channel(index))));
        assert(went == (_seen[index].withdrawableAt != 0));
        (_seen[index].withdrawing, _seen[index].withdrawableAt) = (0, 0);
    }

    /// @dev By anyone; the payer is paid.
    function _withdraw(uint256 index) private {
        Seen storage seen = _seen[index];
        address payer = vm.addr(_payerSecret(index % PAYERS));
        uint256 before = _token.balanceOf(payer);
        (bool went,) = address(_payments).call(abi.encodeCall(IPayments.withdraw, (_channel(index))));
        assert(went == (seen.withdrawableAt != 0 && vm.getBlockTimestamp() >= seen.withdrawableAt));
        if (!went) return;
        uint256 amount = seen.deposited - _claimedOf(index);
        if (seen.withdrawing < amount) amount = seen.withdrawing;
        if (seen.withdrawing == _payments.CLOSE()) seen.closed = true;
        (seen.withdrawing, seen.withdrawableAt) = (0, 0);
        assert(_token.balanceOf(payer) - before == amount);
        seen.deposited -= amount;
        seen.back += amount;
    }

    function _release(uint256 index, uint256 value) private {
        Seen storage seen = _seen[index];
        uint256 left = seen.deposited - _claimedOf(index);
        uint128 amount = uint128(bound(value, 0, left + 1));
        vm.prank(_operator(index % 2));
        (bool went,) = address(_payments).call(abi.encodeCall(IPayments.release, (_channel(index), amount)));
        assert(went == (amount > 0 && amount <= left));
        if (!went) return;
        seen.deposited -= amount;
        seen.back += amount;
    }

    function _advance(uint256 value) private {
        vm.warp(vm.getBlockTimestamp() + bound(value, 1, 2 * DELAY));
        vm.roll(vm.getBlockNumber() + 1);
    }

    /// @dev Each part but the operator's is rounded down.
    function _distribute(uint256 which) private {
        address operator = _operator(which);
        uint256 amount = _payments.undistributed(operator, _gateway(which));
        uint256 others = _payments.owed(GATEWAY) + _payments.owed(GATEKEEPERS) + _payments.owed(TREASURY);
        uint256 own = _payments.owedToOperator(operator);
        (bool went,) = address(_payments).call(abi.encodeCall(_payments.distribute, (operator, _gateway(which))));
        assert(went == (amount > 0));
        if (!went) return;
        _distributed[which] += amount;
        own = _payments.owedToOperator(operator) - own;
        others = _payments.owed(GATEWAY) + _payments.owed(GATEKEEPERS) + _payments.owed(TREASURY) - others;
        assert(own + others == amount);
        IFeeLedgerTypes.FeeShares memory shares = _payments.feeShares();
        uint256 part = uint256(shares.gatekeepers) + shares.treasury + (which == 0 ? shares.gateway : 0);
        uint256 exact = amount * part / 10_000;
        assert(others <= exact && others + 3 > exact);
    }

    function _collect(uint256 value) private {
        address[3] memory accounts = [GATEWAY, GATEKEEPERS, TREASURY];
        if (value % 2 == 0) {
            address account = accounts[(value >> 1) % 3];
            _collectOf(account, account, _payments.owed(account), abi.encodeCall(_payments.collect, (account)));
        } else {
            address operator = _operator((value >> 1) % 2);
            address to = _sink.hasPool(operator) ? address(_sink) : operator;
            bytes memory call_ = abi.encodeCall(_payments.collectForOperator, (operator));
            _collectOf(operator, to, _payments.owedToOperator(operator), call_);
        }
    }

    function _collectOf(address account, address to, uint256 amount, bytes memory call_) private {
        uint256 before = _token.balanceOf(to);
        (bool went,) = address(_payments).call(call_);
        assert(went == (amount > 0));
        assert(_token.balanceOf(to) - before == amount);
        _collected += amount;
        if (to == address(_sink)) assert(_sink.feesOf(account) == _token.balanceOf(to));
    }

    function _setShares(uint256 value) private {
        _payments.setFeeShares(
            IFeeLedgerTypes.FeeShares(
                uint16(value % 2_001), uint16((value >> 16) % 1_001), uint16((value >> 32) % 1_001)
            )
        );
    }

    /// @dev Tokens by the wrong door, or away with them.
    function _stray(uint256 value) private {
        if (value % 2 == 0) {
            uint256 amount = bound(value, 1, 1e18);
            vm.prank(SPONSOR);
            _token.transfer(address(_payments), amount);
            _surplus += amount;
            return;
        }
        uint256 before = _token.balanceOf(TREASURY);
        (bool went,) = address(_payments).call(abi.encodeCall(_payments.sweepSurplus, ()));
        assert(went == (_surplus > 0));
        assert(_token.balanceOf(TREASURY) - before == _surplus);
        _surplus = 0;
    }

    function _evict(uint256 value) private {
        uint256 signer = value % SIGNERS;
        if (_evictedAt[signer] == 0) _evictedAt[signer] = uint64(vm.getBlockNumber());
    }

    /* WHAT SHOULD BE */

    function _fits(uint256 index, uint256 amount) private view returns (bool) {
        return !_seen[index].closed && _seen[index].deposited + amount <= _payments.MAX_DEPOSIT();
    }

    function _countDeposit(uint256 index, uint256 amount) private {
        _seen[index].deposited += amount;
        _seen[index].put += amount;
    }

    function _countVouchers(uint256 mask, uint256 seed) private {
        for (uint256 i = 0; i < CHANNELS; ++i) {
            if ((mask >> i) & 1 == 0) continue;
            uint256 voucher = _voucherOf(seed, i);
            if (voucher > _seen[i].voucher) _seen[i].voucher = voucher;
        }
    }

    function _countTotals(uint256 mask, uint256 seed, uint256 signer) private {
        for (uint256 i = 0; i < CHANNELS; ++i) {
            if ((mask >> i) & 1 == 0) continue;
            uint256 total = _totalOf(seed, i);
            if (total > _totals[i][signer]) _totals[i][signer] = total;
            _seen[i].earned = 0;
            for (uint256 j = 0; j < SIGNERS; ++j) _seen[i].earned += _totals[i][j];
        }
    }

    function _claimedOf(uint256 index) private view returns (uint256 least) {
        Seen storage seen = _seen[index];
        least = seen.deposited;
        if (seen.voucher < least) least = seen.voucher;
        if (seen.earned < least) least = seen.earned;
    }

    function _checkBooks() private view {
        uint256[2] memory claimed;
        uint256 unclaimed;
        uint256 max = _payments.MAX_DEPOSIT();
        for (uint256 i = 0; i < CHANNELS; ++i) {
            Seen storage seen = _seen[i];
            IPaymentsTypes.ChannelState memory state = _payments.channelOf(_payments.channelId(_channel(i)));
            assert(state.deposited == seen.deposited && state.deposited + seen.back == seen.put);
            assert(state.voucher == (seen.voucher < max ? seen.voucher : max));
            assert(state.earned == (seen.earned < max ? seen.earned : max));
            assert(state.claimed == _claimedOf(i));
            assert(state.claimed <= state.deposited && state.claimed <= seen.voucher && state.claimed <= seen.earned);
            assert(state.withdrawing == seen.withdrawing && state.withdrawableAt == seen.withdrawableAt);
            assert(state.opened == seen.opened && state.closed == seen.closed);
            claimed[i % 2] += state.claimed;
            unclaimed += state.deposited - state.claimed;
        }
        uint256 fees;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 undistributed = _payments.undistributed(_operator(i), _gateway(i));
            assert(claimed[i] == undistributed + _distributed[i]);
            fees += undistributed + _payments.owedToOperator(_operator(i));
        }
        fees += _payments.owed(GATEWAY) + _payments.owed(GATEKEEPERS) + _payments.owed(TREASURY);
        assert(claimed[0] + claimed[1] == fees + _collected);
        assert(_payments.totalHeld() == unclaimed + fees);
        assert(_token.balanceOf(address(_payments)) == _payments.totalHeld() + _surplus);
        assert(_token.allowance(address(_payments), address(_sink)) == 0);
    }

    /// @dev Everybody asks for all, waits and is paid; fees are split and collected. Only what came by mistake stays.
    function _everybodyLeaves() private {
        for (uint256 i = 0; i < CHANNELS; ++i) {
            if (_seen[i].opened) _ask(i, _payments.CLOSE());
        }
        vm.warp(vm.getBlockTimestamp() + DELAY);
        for (uint256 i = 0; i < CHANNELS; ++i) {
            if (_seen[i].opened) _withdraw(i);
            assert(_seen[i].put == _seen[i].back + _claimedOf(i));
        }
        _distribute(0);
        _distribute(1);
        for (uint256 i = 0; i < 6; ++i) _collect(i);
        _checkBooks();
        assert(_payments.totalHeld() == 0 && _token.balanceOf(address(_payments)) == _surplus);
    }

    /* HELPERS: CLAIMS */

    /// @dev Channels of an operator with vouchers, and a statement of one of its signers over them.
    function _batch(
        IPayments payments,
        uint256 mask,
        uint256 seed,
        uint256 operator
    )
        private
        view
        returns (IPaymentsTypes.ChannelClaim[] memory channels, IPaymentsTypes.StatementClaim[] memory statements)
    {
        uint256[] memory places = _sorted(payments, mask);
        channels = _channelClaims(payments, places, seed);
        statements = new IPaymentsTypes.StatementClaim[](1);
        uint256 signer = _signerSecret(_signerOf(seed, operator));
        (statements[0],) = _statement(payments, places, _totalsOf(mask, seed), signer, address(this));
    }

    function _channelClaims(
        IPayments payments,
        uint256[] memory places,
        uint256 seed
    ) private view returns (IPaymentsTypes.ChannelClaim[] memory channels) {
        channels = new IPaymentsTypes.ChannelClaim[](places.length);
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 place = places[i];
            channels[i] = _channelClaim(payments, place, uint128(_voucherOf(seed, place)), _keySecret(place));
        }
    }

    function _channelClaim(
        IPayments payments,
        uint256 index,
        uint128 voucher,
        uint256 secret
    ) private view returns (IPaymentsTypes.ChannelClaim memory) {
        Channel memory channel = _channel(index);
        bytes32 digest =
            _records.voucherDigest(payments.channelId(channel), voucher, payments.voucherDomainSeparator());
        (bytes32 r, bytes32 vs) = _compact(secret, digest);
        return IPaymentsTypes.ChannelClaim(
            OperatorChannel(channel.payer, channel.payerKey, channel.gateway, channel.salt), voucher, r, vs
        );
    }

    function _statement(
        IPayments payments,
        uint256[] memory places,
        uint256[CHANNELS] memory totals,
        uint256 secret,
        address registry
    ) private view returns (IPaymentsTypes.StatementClaim memory statement, bytes32 digest) {
        bytes32[] memory ids = new bytes32[](places.length);
        for (uint256 i = 0; i < places.length; ++i) {
            ids[i] = payments.channelId(_channel(places[i]));
            statement.totals = bytes.concat(statement.totals, bytes16(uint128(totals[places[i]])));
        }
        statement.registry = IWorkerRegistry(registry);
        statement.blockNumber = 7;
        (, digest) = _records.statementDigest(ids, statement.totals, 7, block.chainid, registry);
        (statement.r, statement.vs) = _compact(secret, digest);
    }

    function _anchor(
        IPayments payments,
        uint256[] memory places,
        uint256[CHANNELS] memory totals,
        uint256 secret,
        address registry
    ) private returns (IAnchorsTypes.AnchorProof memory proof) {
        (, bytes32 digest) = _statement(payments, places, totals, secret, registry);
        // A tree of one leaf is the leaf.
        proof.root = _records.anchoredLeaf(digest);
        payments.anchor(proof.root);
    }

    function _compact(uint256 secret, bytes32 digest) private pure returns (bytes32 r, bytes32 vs) {
        uint8 v;
        bytes32 s;
        (v, r, s) = vm.sign(secret, digest);
        vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
    }

    /// @dev Mostly of the deposits' size; one in eight beyond what any channel holds.
    function _voucherOf(uint256 seed, uint256 index) private pure returns (uint256) {
        uint256 value = uint256(keccak256(abi.encode("voucher", seed, index)));
        return bound(value >> 8, 0, value % 8 == 0 ? type(uint128).max : 1_500e18);
    }

    /// @dev Above zero, else a statement does not name the channel. Below 2^96, where it is cut.
    function _totalOf(uint256 seed, uint256 index) private pure returns (uint256) {
        uint256 value = uint256(keccak256(abi.encode("total", seed, index)));
        return bound(value >> 8, 1, value % 8 == 0 ? type(uint96).max : 1_000e18);
    }

    function _totalsOf(uint256 mask, uint256 seed) private pure returns (uint256[CHANNELS] memory totals) {
        for (uint256 i = 0; i < CHANNELS; ++i) {
            if ((mask >> i) & 1 == 1) totals[i] = _totalOf(seed, i);
        }
    }

    function _signerOf(uint256 seed, uint256 operator) private pure returns (uint256) {
        return 2 * operator + (seed >> operator) % 2;
    }

    function _openOf(uint256 mask) private view returns (uint256 open) {
        for (uint256 i = 0; i < CHANNELS; ++i) {
            if (_seen[i].opened) open |= mask & (1 << i);
        }
    }

    /// @dev The channels of an operator: the even ones are the first's.
    function _operatorsOf(uint256 mask, uint256 operator) private pure returns (uint256) {
        return mask & (operator == 0 ? 21 : 42);
    }

    /// @dev The places that the mask names, ascending by the channels' ids.
    function _sorted(IPayments payments, uint256 mask) private view returns (uint256[] memory places) {
        uint256 count;
        for (uint256 i = 0; i < CHANNELS; ++i) count += (mask >> i) & 1;
        places = new uint256[](count);
        bytes32[] memory ids = new bytes32[](count);
        uint256 length;
        for (uint256 i = 0; i < CHANNELS; ++i) {
            if ((mask >> i) & 1 == 0) continue;
            bytes32 id = payments.channelId(_channel(i));
            uint256 to = length++;
            for (; to > 0 && ids[to - 1] > id; --to) (ids[to], places[to]) = (ids[to - 1], places[to - 1]);
            (ids[to], places[to]) = (id, i);
        }
    }

    /* HELPERS: DEPOSITS */

    function _put(IPayments payments, uint256 index, uint256 amount) private {
        vm.prank(vm.addr(_payerSecret(index % PAYERS)));
        payments.deposit(_deposits(index, amount));
    }

    function _deposits(uint256 index, uint256 amount) private pure returns (IPaymentsTypes.Deposit[] memory deposits) {
        deposits = new IPaymentsTypes.Deposit[](1);
        deposits[0] = IPaymentsTypes.Deposit(_channel(index), uint128(amount));
    }

    function _byAuthorization(
        IPaymentsTypes.Deposit[] memory deposits,
        uint256 amount,
        uint256 secret,
        uint256 salt
    ) private view returns (bytes memory) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                vm.addr(secret),
                address(_payments),
                amount,
                0,
                vm.getBlockTimestamp() + 1,
                // Tells steps apart: what a seed repeats, the state does not.
                _payments.authorizationNonce(deposits, _salt(salt))
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(secret, ReceiptLib.toDigest(_token.DOMAIN_SEPARATOR(), structHash));
        return abi.encodeCall(
            IPayments.depositWithAuthorization,
            (deposits, vm.addr(secret), _salt(salt), 0, vm.getBlockTimestamp() + 1, v, r, s)
        );
    }

    /// @dev The allowance suffices anyhow: every second permit is a bad one, which must not matter.
    function _byPermit(
        IPaymentsTypes.Deposit[] memory deposits,
        uint256 amount,
        uint256 secret
    ) private view returns (bytes memory) {
        address payer = vm.addr(secret);
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                payer,
                address(_payments),
                amount,
                _token.nonces(payer),
                vm.getBlockTimestamp()
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(amount % 2 == 0 ? secret : THIEF, ReceiptLib.toDigest(_token.DOMAIN_SEPARATOR(), structHash));
        return abi.encodeCall(IPayments.depositWithPermit, (deposits, vm.getBlockTimestamp(), v, r, s));
    }

    function _salt(uint256 salt) private view returns (bytes32) {
        return keccak256(abi.encode(salt, _token.balanceOf(address(_payments)), vm.getBlockTimestamp(), _seen));
    }

    /// @dev One in sixteen of the size of what a channel holds at most.
    function _amount(uint256 value) private view returns (uint256) {
        return bound(value >> 8, 1, value % 16 == 0 ? _payments.MAX_DEPOSIT() : 1_000e18);
    }

    function _wish(uint256 value) private pure returns (uint128) {
        return uint128(bound(value >> 8, 1, 1_000e18));
    }

    /* WHO IS WHO */

    function _channel(uint256 index) private pure returns (Channel memory) {
        return Channel({
            payer: vm.addr(_payerSecret(index % PAYERS)),
            payerKey: vm.addr(_keySecret(index)),
            operator: _operator(index % 2),
            gateway: _gateway(index % 2),
            salt: bytes32(index)
        });
    }

    function _operator(uint256 index) private pure returns (address) {
        return address(uint160(0xa000 + index));
    }

    function _gateway(uint256 operator) private pure returns (address) {
        return operator == 0 ? GATEWAY : address(0);
    }

    function _payerSecret(uint256 index) private pure returns (uint256) {
        return 1_000 + index;
    }

    function _keySecret(uint256 channel) private pure returns (uint256) {
        return 2_000 + channel;
    }

    function _signerSecret(uint256 index) private pure returns (uint256) {
        return 3_000 + index;
    }

    function _separator(address registry) private view returns (bytes32) {
        return ReceiptLib.domainSeparator(block.chainid, registry);
    }

    function _fund(address account) private {
        _token.issue(account, RICH);
        vm.prank(account);
        _token.approve(address(_payments), type(uint256).max);
        vm.prank(account);
        _token.approve(address(_others), type(uint256).max);
    }

    function _deploy() private returns (IPayments) {
        return IPayments(deployCompiled("Payments.sol:Payments", abi.encode(
            IPaymentsTypes.PaymentsSettings({
                timelock: address(this),
                token: _token,
                workerRegistry: IWorkerRegistry(address(this)),
                stakePools: _sink,
                withdrawalDelay: DELAY,
                gatekeepers: GATEKEEPERS,
                treasury: TREASURY,
                shares: IFeeLedgerTypes.FeeShares(1_000, 500, 500)
            })
        )));
    }
}
