// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {ChannelBalance} from "./ChannelBalances.sol";
import {IPayments} from "./IPayments.sol";
import {PaymentClaims} from "./PaymentClaims.sol";
import {PaymentDeposits} from "./PaymentDeposits.sol";
import {PaymentRecords} from "./PaymentRecords.sol";
import {PaymentWithdrawals} from "./PaymentWithdrawals.sol";
import {PaymentsState} from "./PaymentsState.sol";
import {SignerTotal} from "./SignerTotals.sol";

/// @title Payments
contract Payments is PaymentDeposits, PaymentClaims, PaymentWithdrawals {
    constructor(PaymentsSettings memory settings) PaymentsState(settings) {}

    /* GOVERNANCE */

    /// @inheritdoc IPayments
    function setWorkerRegistry(IWorkerRegistry workerRegistry_) external onlyTimelock {
        _setWorkerRegistry(workerRegistry_);
    }

    /* VIEWS */

    /// @inheritdoc IPayments
    function channelOf(bytes32 channel) external view returns (ChannelState memory) {
        ChannelBalance balance = _balances[channel].value;
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
        SignerTotal known = _totals[signer][channel].value;
        return (known.total(), known.registry());
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
}
