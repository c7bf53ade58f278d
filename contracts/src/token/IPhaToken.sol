// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title IPhaToken
/// @notice PHA, the network's token.
interface IPhaToken is IERC20 {
    error PhaTokenGenesisLengthMismatch(uint256 holders, uint256 amounts);
    error PhaTokenIssueCapExceeded(uint256 issuedEver, uint256 amount, uint256 cap);

    /// @notice The most PHA (18 decimals) that may ever be issued.
    function ISSUE_CAP() external view returns (uint256);

    /// @notice All PHA that was ever issued.
    /// @dev Warning: not the supply. Burning lowers `totalSupply` and leaves this as it is, so burnt PHA can't be issued
    /// anew.
    function issuedEver() external view returns (uint256);
}
