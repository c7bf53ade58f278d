// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governed} from "../governance/Governed.sol";
import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {Anchors} from "./Anchors.sol";
import {ChannelBalances} from "./ChannelBalances.sol";
import {KeptBalance} from "./ClaimBatch.sol";
import {FeeLedger} from "./FeeLedger.sol";
import {IPayments} from "./IPayments.sol";
import {Channel, PaymentRecords} from "./PaymentRecords.sol";
import {SignerTotal} from "./SignerTotals.sol";

/// @title PaymentsState
/// @notice What is kept of channels, and what several of the contract's parts ask of it.
abstract contract PaymentsState is IPayments, FeeLedger, Anchors {
    /// @dev As structs, so that a slot is found once to read and to write it.
    struct KeptTotal {
        SignerTotal value;
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

    mapping(bytes32 channel => KeptBalance) internal _balances;
    mapping(address signer => mapping(bytes32 channel => KeptTotal)) internal _totals;
    mapping(bytes32 channel => Withdrawal) internal _withdrawals;

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

    /// @inheritdoc IPayments
    function channelId(Channel calldata channel) public view returns (bytes32) {
        return PaymentRecords.channelId(block.chainid, address(this), channel);
    }

    /// @inheritdoc IPayments
    function voucherDomainSeparator() public view returns (bytes32) {
        // Built each time, not kept: after a fork of the chain, vouchers of the other side must not hold.
        return PaymentRecords.voucherDomainSeparator(block.chainid, address(this));
    }

    function _checkBatch(uint256 length) internal pure {
        if (length == 0 || length > MAX_BATCH) revert PaymentsBatchOutOfRange(length, MAX_BATCH);
    }

    function _setWorkerRegistry(IWorkerRegistry workerRegistry_) internal {
        if (address(workerRegistry_).code.length == 0) revert PaymentsRegistryWithoutCode(address(workerRegistry_));
        workerRegistry = workerRegistry_;
        emit WorkerRegistrySet(address(workerRegistry_));
    }
}
