// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Where the document lies that says how an image is made, and its content.
/// @param hash sha256 of its canonical JSON (docs/image.md): source, build command, reference values. Zero only where the
/// network gives no notice.
/// @param uri A hint where to find it, at most 256 bytes, may be empty; kept in the event alone. Nobody has to believe it.
struct Recipe {
    bytes32 hash;
    string uri;
}

interface IImageRegistryErrors {
    error ImageRegistryZeroId();
    error ImageRegistryNoticeTooLong(uint64 notice, uint64 maximum);
    error ImageRegistryWindowEmpty(uint64 notBefore, uint64 expiresAt, uint256 timestamp);
    error ImageRegistryAllowShortens(bytes32 imageId, uint64 expiresAt, uint64 presentExpiresAt);
    error ImageRegistryRecipeMissing();
    error ImageRegistryUriLength(uint256 length, uint256 maximum);
    error ImageRegistryLabelLength(uint256 length, uint256 maximum);
    error ImageRegistryImageUnknown(bytes32 imageId);
    error ImageRegistryOverlapOutOfRange(uint64 overlap, uint64 minimum, uint64 maximum);
    error ImageRegistrySucceedsItself(bytes32 imageId);
    error ImageRegistrySuccessorEnds(bytes32 successor, uint64 expiresAt, uint256 end);
    error ImageRegistryNotShortened(bytes32 imageId, uint64 end, uint64 expiresAt);
    error ImageRegistryCallerMayNotShorten(address caller);
    error ImageRegistryGuardianTermOutOfRange(address account, uint64 until, uint256 latest);
    error ImageRegistryConfigUnknown(bytes32 configId);
    error ImageRegistryPlatformBlocked(bytes32 platformId);
    error ImageRegistryPlatformNotBlocked(bytes32 platformId);
}

interface IImageRegistryEvents {
    /// @notice An image may register from `notBefore` until before `expiresAt`, unix seconds.
    event ImageAllowed(
        bytes32 indexed imageId,
        bytes32 indexed recipe,
        uint64 notBefore,
        uint64 expiresAt,
        string label,
        string recipeUri
    );

    /// @notice `successor` takes its place; it ends at `expiresAt`.
    event ImageRetired(bytes32 indexed imageId, bytes32 indexed successor, uint64 expiresAt);
    event ImageShortened(bytes32 indexed imageId, uint64 expiresAt, address shortenedBy);
    event ImageRevoked(bytes32 indexed imageId);
    event GuardianSet(address indexed guardian, uint64 until);
    event ConfigAllowed(bytes32 indexed configId);
    event ConfigRevoked(bytes32 indexed configId);
    event PlatformBlocked(bytes32 indexed platformId, string reason);
    event PlatformUnblocked(bytes32 indexed platformId);
}

/// @title IImageRegistry
/// @notice The network's reference values: which images and which network files its enclaves may run, and which
/// machines they may not run on, whatever their evidence says.
interface IImageRegistry is IImageRegistryErrors, IImageRegistryEvents {
    /// @notice Allows an image for a window of time, or lengthens the life of one that is allowed. Timelock only.
    /// @param imageId keccak256 of its measurements; for TDX: MRTD and RTMR0 to RTMR2.
    /// @param notBefore Unix seconds. It counts from then on, but not before the network's notice has passed since this call;
    /// what is allowed already keeps the earlier beginning.
    /// @param expiresAt Unix seconds, after it begins to count and no earlier than what was promised before;
    /// type(uint64).max for no expiry.
    /// @param label For people, 1 to 64 bytes; kept in the event alone.
    /// @param recipe How anybody makes the image again.
    function allow(
        bytes32 imageId,
        uint64 notBefore,
        uint64 expiresAt,
        string calldata label,
        Recipe calldata recipe
    ) external;

    /// @notice Lets another image take its place: it ends `overlap` seconds after the other one counts, or after now where that
    /// counts already, so that workers can move meanwhile. Timelock only.
    /// @param overlap From the network's notice to 180 days; the successor must count for all of it.
    function retire(bytes32 imageId, bytes32 successor, uint64 overlap) external;

    /// @notice Ends an image earlier than it would. The guardian, while its term runs, and the timelock; nobody lengthens by it.
    /// @param expiresAt Unix seconds; what has passed means now.
    /// @dev Warning: running leases end only when somebody calls WorkerRegistry.evict.
    function shorten(bytes32 imageId, uint64 expiresAt) external;

    /// @notice Takes an image back at once. Timelock only.
    /// @dev Warning: running leases end only when somebody calls WorkerRegistry.evict.
    function revoke(bytes32 imageId) external;

    /// @notice Elects who may shorten an image's life, and nothing else, in place of whoever was elected before; zero and zero for
    /// nobody. Timelock only.
    /// @param until Unix seconds; at most 365 days ahead. Its powers end then by themselves.
    function setGuardian(address account, uint64 until) external;

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

    /// @notice Seconds that pass at the least between allowing an image and its first registration; zero on development networks.
    function notice() external view returns (uint64);

    /// @notice The longest notice that a network can have.
    function MAX_NOTICE() external view returns (uint64);

    /// @notice The longest that an image can live on beside its successor, once {retire} is called.
    function MAX_OVERLAP() external view returns (uint64);

    /// @notice The longest term of a guardian.
    function MAX_GUARDIAN_TERM() external view returns (uint64);

    /// @notice The guardian whose term runs, zero for nobody.
    function guardian() external view returns (address);

    /// @notice When the last elected guardian's term ends, unix seconds.
    function guardianUntil() external view returns (uint64);

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

    /// @notice sha256 of the recipe that the image was allowed with; zero where there is none.
    function recipeOf(bytes32 imageId) external view returns (bytes32);
}
