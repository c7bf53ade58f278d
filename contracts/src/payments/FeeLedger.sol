// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Governed} from "../governance/Governed.sol";
import {IFeeSink} from "../staking/IFeeSink.sol";
import {IPhaToken} from "../token/IPhaToken.sol";
import {IFeeLedger} from "./IFeeLedger.sol";

/// @title FeeLedger
abstract contract FeeLedger is IFeeLedger, Governed {
    using SafeERC20 for IPhaToken;

    uint256 private constant BASIS_POINTS = 10_000;
    uint16 public constant MAX_GATEWAY_SHARE = 2_000;
    uint16 public constant MAX_GATEKEEPERS_SHARE = 1_000;
    uint16 public constant MAX_TREASURY_SHARE = 1_000;

    /// @inheritdoc IFeeLedger
    IPhaToken public immutable token;

    /// @inheritdoc IFeeLedger
    IFeeSink public immutable stakePools;

    /// @inheritdoc IFeeLedger
    uint256 public totalHeld;

    // ### one slot
    address public gatekeepers;
    FeeShares private _shares;

    /// @inheritdoc IFeeLedger
    address public treasury;

    /// @inheritdoc IFeeLedger
    mapping(address operator => mapping(address gateway => uint256)) public undistributed;

    /// @inheritdoc IFeeLedger
    mapping(address account => uint256) public owed;

    /// @inheritdoc IFeeLedger
    mapping(address operator => uint256) public owedToOperator;

    constructor(
        IPhaToken token_,
        IFeeSink stakePools_,
        address gatekeepers_,
        address treasury_,
        FeeShares memory shares
    ) {
        if (address(token_).code.length == 0) revert FeeLedgerTokenWithoutCode(address(token_));
        if (address(stakePools_).code.length == 0) revert FeeLedgerSinkWithoutCode(address(stakePools_));
        token = token_;
        stakePools = stakePools_;
        _setRecipients(gatekeepers_, treasury_);
        _setShares(shares);
    }

    /// @inheritdoc IFeeLedger
    function distribute(address operator, address gateway) external {
        uint256 amount = undistributed[operator][gateway];
        if (amount == 0) revert FeeLedgerNothingToDistribute(operator, gateway);
        undistributed[operator][gateway] = 0;

        FeeShares memory shares = _shares;
        uint256 toGateway = gateway == address(0) ? 0 : amount * shares.gateway / BASIS_POINTS;
        uint256 toGatekeepers = amount * shares.gatekeepers / BASIS_POINTS;
        uint256 toTreasury = amount * shares.treasury / BASIS_POINTS;
        // No underflow: the shares' maxima add up to less than the whole.
        uint256 toOperator = amount - toGateway - toGatekeepers - toTreasury;
        if (toGateway > 0) owed[gateway] += toGateway;
        owed[gatekeepers] += toGatekeepers;
        owed[treasury] += toTreasury;
        owedToOperator[operator] += toOperator;
        emit FeesDistributed(operator, gateway, toOperator, toGateway, toGatekeepers, toTreasury);
    }

    /// @inheritdoc IFeeLedger
    function collect(address account) external {
        uint256 amount = owed[account];
        if (amount == 0) revert FeeLedgerNothingOwed(account);
        owed[account] = 0;
        totalHeld -= amount;
        emit Collected(account, amount);
        token.safeTransfer(account, amount);
    }

    /// @inheritdoc IFeeLedger
    function collectForOperator(address operator) external {
        uint256 amount = owedToOperator[operator];
        if (amount == 0) revert FeeLedgerNothingOwed(operator);
        owedToOperator[operator] = 0;
        totalHeld -= amount;
        bool toPool = stakePools.hasPool(operator);
        emit OperatorCollected(operator, amount, toPool);
        if (!toPool) {
            token.safeTransfer(operator, amount);
            return;
        }
        token.forceApprove(address(stakePools), amount);
        stakePools.addFees(operator, amount);
        if (token.allowance(address(this), address(stakePools)) != 0) revert FeeLedgerFeesNotTaken(operator, amount);
    }

    /* GOVERNANCE */

    /// @inheritdoc IFeeLedger
    function setFeeShares(FeeShares calldata shares) external onlyTimelock {
        _setShares(shares);
    }

    /// @inheritdoc IFeeLedger
    function setFeeRecipients(address gatekeepers_, address treasury_) external onlyTimelock {
        _setRecipients(gatekeepers_, treasury_);
    }

    /// @inheritdoc IFeeLedger
    function sweepSurplus() external onlyTimelock {
        uint256 surplus = token.balanceOf(address(this)) - totalHeld;
        if (surplus == 0) revert FeeLedgerNoSurplus();
        emit SurplusSwept(treasury, surplus);
        token.safeTransfer(treasury, surplus);
    }

    /// @inheritdoc IFeeLedger
    function feeShares() external view returns (FeeShares memory) {
        return _shares;
    }

    function _credit(address operator, address gateway, uint256 amount) internal {
        undistributed[operator][gateway] += amount;
    }

    function _takeIn(address from, uint256 amount) internal {
        totalHeld += amount;
        token.safeTransferFrom(from, address(this), amount);
    }

    function _payBack(address to, uint256 amount) internal {
        totalHeld -= amount;
        token.safeTransfer(to, amount);
    }

    function _setShares(FeeShares memory shares) private {
        _checkShare(shares.gateway, MAX_GATEWAY_SHARE);
        _checkShare(shares.gatekeepers, MAX_GATEKEEPERS_SHARE);
        _checkShare(shares.treasury, MAX_TREASURY_SHARE);
        _shares = shares;
        emit FeeSharesSet(shares);
    }

    function _checkShare(uint16 share, uint16 maximum) private pure {
        if (share > maximum) revert FeeLedgerShareOutOfRange(share, maximum);
    }

    function _setRecipients(address gatekeepers_, address treasury_) private {
        if (gatekeepers_ == address(0) || treasury_ == address(0)) revert FeeLedgerRecipientMissing();
        gatekeepers = gatekeepers_;
        treasury = treasury_;
        emit FeeRecipientsSet(gatekeepers_, treasury_);
    }
}
