// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

interface IStakeDelegatesErrors {
    error StakeDelegatesUnchanged(address account, address voter);
    error StakeDelegatesFutureLookup(uint256 timepoint, uint48 clock);
    error StakeDelegatesSignatureExpired(uint256 expiry, uint256 timestamp);
    error StakeDelegatesNotSigned(address account, bytes32 digest);
}

interface IStakeDelegatesEvents {
    /// @param voter Who casts the account's stake from now on: another account, or itself.
    event StakeDelegated(address indexed account, address indexed voter);
}

/// @title IStakeDelegates
/// @notice Who casts the votes of an account's stake in pools, by time. PHA that is not staked has its delegates in the token.
/// @dev At each moment exactly one account may: so nothing counts twice, and who takes a delegation back before a proposal's
/// snapshot votes by itself. Nobody owns this contract.
interface IStakeDelegates is IStakeDelegatesErrors, IStakeDelegatesEvents {
    /// @notice Lets another account cast the votes of all the caller's stake; its own address takes that back.
    function delegate(address voter) external;

    /// @notice The same for an account that signed it, sent by anyone: EIP-712
    /// `StakeDelegation(address account,address voter,uint256 nonce,uint256 expiry)` in the domain ("Cloister", "1", chain, this
    /// contract). Of an account with code its own word counts (EIP-1271).
    /// @param nonce The account's next one ({nonces}), so that a signature counts once and in its order.
    /// @param expiry Unix seconds; it counts until then, that second included.
    /// @dev Warning: who signed and changed its mind calls {delegate}, which does not use the nonce up; {useNonce} does.
    function delegateBySig(
        address account,
        address voter,
        uint256 nonce,
        uint256 expiry,
        bytes calldata signature
    ) external;

    /// @notice Uses up the caller's next nonce, so that what it signed for it counts no more.
    function useNonce() external;

    /// @notice Who casts the votes of an account's stake now: itself, if it named nobody.
    function voterOf(address account) external view returns (address);

    /// @notice The same at a past moment (unix seconds).
    function pastVoterOf(address account, uint256 timepoint) external view returns (address);
}
