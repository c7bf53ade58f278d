// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {IERC7802} from "@openzeppelin/contracts/interfaces/draft-IERC7802.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IBridgedSupply} from "../governance/governor/IBridgedSupply.sol";
import {IPhaToken} from "./IPhaToken.sol";
import {PhaBase} from "./PhaBase.sol";

/// @title PhaToken
/// @notice PHA where it is issued: with a cap on what ever is, and each route bounded by what went out through it.
/// @dev Fixed for ever: nobody owns it and nothing issues after construction but a derived contract's own rules.
contract PhaToken is PhaBase, ERC20Burnable, IPhaToken {
    using Checkpoints for Checkpoints.Trace208;

    /// @inheritdoc IPhaToken
    uint256 public constant ISSUE_CAP = 1_000_000_000e18;

    /// @inheritdoc IPhaToken
    uint256 public issuedEver;

    /// @inheritdoc IPhaToken
    mapping(address route => uint256) public outstandingOf;

    Checkpoints.Trace208 private _outstanding;

    /// @param holders Who holds the genesis allocation.
    /// @param amounts What each of them gets, in the smallest unit (18 decimals).
    constructor(address[] memory holders, uint256[] memory amounts) {
        if (holders.length != amounts.length) revert PhaTokenGenesisLengthMismatch(holders.length, amounts.length);
        for (uint256 i = 0; i < holders.length; ++i) {
            _issue(holders[i], amounts[i]);
        }
    }

    /// @inheritdoc IERC7802
    /// @dev The caller is the route; `from` is the caller or has allowed it the amount.
    function crosschainBurn(address from, uint256 amount) external {
        _burnForRoute(from, amount);
        outstandingOf[msg.sender] += amount;
        _noteOutstanding(outstanding() + amount);
    }

    /// @inheritdoc IERC7802
    /// @dev The caller is the route. Not an issue: this PHA was issued before it went out.
    function crosschainMint(address to, uint256 amount) external {
        uint256 left = outstandingOf[msg.sender];
        if (amount > left) revert PhaTokenOutstandingExceeded(msg.sender, left, amount);
        outstandingOf[msg.sender] = left - amount;
        _noteOutstanding(outstanding() - amount);
        _mintForRoute(to, amount);
    }

    /// @inheritdoc IBridgedSupply
    /// @dev What is outstanding through all routes. With `getPastTotalSupply` the sum stays the same whoever bridges when.
    function bridgedOutAt(uint256 timepoint) external view returns (uint256) {
        return _outstanding.upperLookupRecent(_validateTimepoint(timepoint));
    }

    /// @inheritdoc IPhaToken
    function outstanding() public view returns (uint256) {
        return _outstanding.latest();
    }

    /// @dev The only way to new PHA: what {crosschainMint} mints was issued before.
    function _issue(address to, uint256 amount) internal {
        uint256 issued = issuedEver;
        // No underflow: issued <= ISSUE_CAP holds from the first call on.
        if (amount > ISSUE_CAP - issued) revert PhaTokenIssueCapExceeded(issued, amount, ISSUE_CAP);
        issuedEver = issued + amount;
        _mint(to, amount);
    }

    function _noteOutstanding(uint256 sum) private {
        _outstanding.push(clock(), SafeCast.toUint208(sum));
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, PhaBase) {
        super._update(from, to, value);
    }
}
