// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IImageRegistry
/// @notice The network's reference values: which images and which network files its enclaves may run, and which
/// machines they may not run on, whatever their evidence says.
interface IImageRegistry {
    /// @notice An image may register from `notBefore` (the notice) until before `expiresAt`, unix seconds.
    event ImageAllowed(bytes32 indexed imageId, uint64 notBefore, uint64 expiresAt, string label);
    event ImageRevoked(bytes32 indexed imageId);
    event ConfigAllowed(bytes32 indexed configId);
    event ConfigRevoked(bytes32 indexed configId);
    event PlatformBlocked(bytes32 indexed platformId, string reason);
    event PlatformUnblocked(bytes32 indexed platformId);

    error ImageRegistryZeroId();
    error ImageRegistryWindowEmpty(uint64 notBefore, uint64 expiresAt, uint256 timestamp);
    error ImageRegistryLabelLength(uint256 length, uint256 maximum);
    error ImageRegistryImageUnknown(bytes32 imageId);
    error ImageRegistryConfigUnknown(bytes32 configId);
    error ImageRegistryPlatformBlocked(bytes32 platformId);
    error ImageRegistryPlatformNotBlocked(bytes32 platformId);

    /// @notice Allows an image for a window of time, or moves the window of one allowed before. Timelock only.
    /// @param imageId keccak256 of its measurements; for TDX: MRTD and RTMR0 to RTMR2.
    /// @param notBefore Unix seconds; a time in the past means at once.
    /// @param expiresAt Unix seconds, above `notBefore` and the present; type(uint64).max for no expiry.
    /// @param label For people, 1 to 64 bytes; kept in the event alone.
    function allow(bytes32 imageId, uint64 notBefore, uint64 expiresAt, string calldata label) external;

    /// @notice Takes an image back at once. Timelock only.
    /// @dev Warning: running leases end only when somebody calls WorkerRegistry.evict.
    function revoke(bytes32 imageId) external;

    /// @notice Allows a network file, by its id as devices report it (MRCONFIGID). Timelock only.
    function allowConfig(bytes32 configId) external;

    /// @notice Takes a network file back at once. Timelock only.
    /// @dev Warning: as with {revoke}, running leases end by eviction.
    function revokeConfig(bytes32 configId) external;

    /// @notice Refuses a physical machine, at once and for every image: one whose TEE was broken, which its evidence does not
    /// show. Timelock only.
    /// @param platformId As in {EvidenceClaims}.
    /// @param reason For people, 1 to 64 bytes; kept in the event alone.
    /// @dev Warning: as with {revoke}, running leases end by eviction; until somebody evicts it a worker may renew.
    function blockPlatform(bytes32 platformId, string calldata reason) external;

    /// @notice Takes the refusal back. Timelock only.
    function unblockPlatform(bytes32 platformId) external;

    /// @notice Whether the machine is refused.
    function isPlatformBlocked(bytes32 platformId) external view returns (bool);

    /// @notice Whether the image is allowed in the present block.
    function isImageAllowed(bytes32 imageId) external view returns (bool);

    /// @notice Whether the network file is allowed in the present block.
    function isConfigAllowed(bytes32 configId) external view returns (bool);

    /// @notice Both in one call.
    function areAllowed(
        bytes32 imageId,
        bytes32 configId
    ) external view returns (bool imageAllowed, bool configAllowed);

    /// @notice The window of an image, zeros where it was never allowed or has been revoked.
    function imageWindow(bytes32 imageId) external view returns (uint64 notBefore, uint64 expiresAt);
}
