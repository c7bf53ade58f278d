// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPhaToken} from "../token/IPhaToken.sol";

/// @title IEmittedPha
/// @notice PHA whose emission may be issued by one contract alone.
interface IEmittedPha is IPhaToken {
    error EmittedPhaCallerNotEmission(address caller, address emission);

    /// @notice Issues new PHA within the cap. The emission alone.
    /// @param amount In the smallest unit (18 decimals).
    function mintForEmission(address to, uint256 amount) external;

    /// @notice Who alone may issue, for ever.
    function emission() external view returns (address);
}
