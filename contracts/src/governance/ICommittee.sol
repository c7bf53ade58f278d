// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ICommittee
/// @notice The network's committee as other contracts see it: t of its n members stand behind a digest, or they do not.
interface ICommittee {
    /// @notice Whether `proof` shows that the committee of now stands behind `digest`.
    /// @param digest An EIP-712 digest; the committee signs no other.
    /// @param proof In the committee's own form.
    function verify(bytes32 digest, bytes calldata proof) external view returns (bool);
}
