// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7802} from "@openzeppelin/contracts/interfaces/draft-IERC7802.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IBridgedSupply} from "../governance/governor/IBridgedSupply.sol";

/// @title IPhaToken
/// @notice PHA, the network's token.
/// @dev A *route* is whoever calls {IERC7802-crosschainBurn}: anyone may, for PHA of its own or within an allowance. What
/// goes out through a route may come back through it, never more, so none needs permission and none can mint what went
/// out through another. At all times totalSupply + outstanding + everything burnt = issuedEver.
interface IPhaToken is IERC20, IERC7802, IBridgedSupply {
    error PhaTokenGenesisLengthMismatch(uint256 holders, uint256 amounts);
    error PhaTokenIssueCapExceeded(uint256 issuedEver, uint256 amount, uint256 cap);
    error PhaTokenOutstandingExceeded(address route, uint256 outstanding, uint256 amount);

    /// @notice The most PHA (18 decimals) that may ever be issued.
    function ISSUE_CAP() external view returns (uint256);

    /// @notice All PHA that was ever issued.
    /// @dev Warning: not the supply. Burning lowers `totalSupply` and leaves this as it is, so burnt PHA can't be issued
    /// anew.
    function issuedEver() external view returns (uint256);

    /// @notice PHA that went out through a route and has not come back: all that it can ever mint.
    function outstandingOf(address route) external view returns (uint256);

    /// @notice The sum of what is outstanding through all routes.
    function outstanding() external view returns (uint256);
}
