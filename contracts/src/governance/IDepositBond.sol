// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IBond} from "./IBond.sol";

interface IDepositBondTypes {
    /// @param amount What counts as bond.
    /// @param leaving Asked back: counts no more, can still be slashed.
    /// @param claimableAt Unix seconds from which `leaving` is paid out.
    struct Deposit {
        uint256 amount;
        uint256 leaving;
        uint64 claimableAt;
    }
}

/// @title IDepositBond
/// @notice Bonds as plain deposits: put in by anyone for an operator, asked back by the operator, paid out after a
/// delay, taken by the slasher until then.
interface IDepositBond is IBond, IDepositBondTypes {
    event Deposited(address indexed operator, address indexed from, uint256 amount);
    event WithdrawalRequested(address indexed operator, uint256 amount, uint64 claimableAt);
    event Withdrawn(address indexed operator, address indexed to, uint256 amount);
    event Slashed(address indexed operator, address indexed to, uint256 amount);
    event SlasherSet(address slasher);

    error DepositBondTokenWithoutCode(address token);
    error DepositBondDelayOutOfRange(uint64 delay, uint64 maximum);
    error DepositBondZeroAmount();
    error DepositBondTooLittle(address operator, uint256 has, uint256 wanted);
    error DepositBondNotClaimable(address operator, uint64 claimableAt, uint256 timestamp);
    error DepositBondCallerNotSlasher(address caller, address slasher);

    /// @notice Adds to an operator's bond. Anyone, for the operator alone to ask back.
    function deposit(address operator, uint256 amount) external;

    /// @notice Asks `amount` of the caller's bond back. It counts no more from now on; the delay begins anew for all that
    /// is leaving.
    function requestWithdrawal(uint256 amount) external;

    /// @notice Pays out what the caller asked back, once the delay has passed.
    function withdraw(address to) external;

    /// @notice Takes of an operator's bond, then of what is leaving. The slasher.
    function slash(address operator, uint256 amount, address to) external;

    /// @notice Who may slash; the zero address: nobody. Timelock only.
    function setSlasher(address slasher) external;

    function depositOf(address operator) external view returns (Deposit memory);
    function slasher() external view returns (address);
    function token() external view returns (IERC20);
    function withdrawalDelay() external view returns (uint64);
}
