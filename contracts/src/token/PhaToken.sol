// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC7802} from "@openzeppelin/contracts/interfaces/draft-IERC7802.sol";
import {Votes} from "@openzeppelin/contracts/governance/utils/Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IPhaToken} from "./IPhaToken.sol";

/// @title PhaToken
/// @notice ERC-20 with permits (ERC-2612), transfers by authorization (ERC-3009), votes counted by timestamp (ERC-5805,
/// ERC-6372), burning and minting by routes to other chains (ERC-7802), each within what went out through it, and a cap on
/// what is ever issued.
/// @dev Fixed for ever: nobody owns it and nothing issues after construction but a derived contract's own rules.
contract PhaToken is ERC20, ERC20Burnable, ERC20Permit, ERC3009, ERC20Votes, IPhaToken {
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
    constructor(
        address[] memory holders,
        uint256[] memory amounts
    ) ERC20("Phala", "PHA") ERC20Permit("Phala") {
        if (holders.length != amounts.length) revert PhaTokenGenesisLengthMismatch(holders.length, amounts.length);
        for (uint256 i = 0; i < holders.length; ++i) {
            _issue(holders[i], amounts[i]);
        }
    }

    /// @inheritdoc IERC7802
    /// @dev The caller is the route; `from` is the caller or has allowed it the amount.
    function crosschainBurn(address from, uint256 amount) external {
        if (from != msg.sender) _spendAllowance(from, msg.sender, amount);
        _burn(from, amount);
        outstandingOf[msg.sender] += amount;
        _noteOutstanding(outstanding() + amount);
        emit CrosschainBurn(from, amount, msg.sender);
    }

    /// @inheritdoc IERC7802
    /// @dev The caller is the route. Not an issue: this PHA was issued before it went out.
    function crosschainMint(address to, uint256 amount) external {
        uint256 left = outstandingOf[msg.sender];
        if (amount > left) revert PhaTokenOutstandingExceeded(msg.sender, left, amount);
        outstandingOf[msg.sender] = left - amount;
        _noteOutstanding(outstanding() - amount);
        _mint(to, amount);
        emit CrosschainMint(to, amount, msg.sender);
    }

    /// @inheritdoc IPhaToken
    function getPastOutstanding(uint256 timepoint) external view returns (uint256) {
        return _outstanding.upperLookupRecent(_validateTimepoint(timepoint));
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC7802).interfaceId || interfaceId == type(IERC165).interfaceId;
    }

    /// @inheritdoc IPhaToken
    function outstanding() public view returns (uint256) {
        return _outstanding.latest();
    }

    /// @inheritdoc Votes
    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    /// @inheritdoc Votes
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @inheritdoc ERC20Permit
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
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

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}
