// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnforcedFields, IAppRegistry} from "../IAppRegistry.sol";

interface IAppTimelockTypes {
    /// @notice Unknown: never announced. Waiting: its notice runs. Ready: anyone may execute it. Expired: nobody did in time.
    enum State {
        Unknown,
        Waiting,
        Ready,
        Expired,
        Executed,
        Vetoed,
        Cancelled
    }

    /// @param toRegistry Whether the call goes to the registry of apps; else to the timelock itself.
    /// @param readyAt Unix seconds from which anyone may execute it, for 14 days.
    /// @param data The whole call: selector and arguments.
    struct Announcement {
        State state;
        bool toRegistry;
        uint64 readyAt;
        bytes data;
    }
}

interface IAppTimelockErrors {
    error AppTimelockRegistryWithoutCode(address registry);
    error AppTimelockOwnerMissing();
    error AppTimelockDelayOutOfRange(uint32 delay, uint32 minimum, uint32 maximum);
    error AppTimelockVetoersTooMany(uint256 count, uint256 maximum);
    error AppTimelockVetoerUnchanged(address vetoer);
    error AppTimelockCallerNotOwner(address caller, address owner);
    error AppTimelockCallerNotVetoer(address caller);
    error AppTimelockCallerNotSelf(address caller);
    error AppTimelockCallTooShort(uint256 length);
    error AppTimelockOpenTooMany(uint256 maximum);
    error AppTimelockNotOpen(uint32 number);
    error AppTimelockNotReady(uint32 number, uint64 readyAt, uint64 expiresAt);
}

interface IAppTimelockEvents {
    event Announced(uint32 indexed number, bool toRegistry, uint64 readyAt, bytes data);
    event Executed(uint32 indexed number);
    event Vetoed(uint32 indexed number, address vetoer);
    event Cancelled(uint32 indexed number, address cancelledBy);
    event OwnerSet(address indexed owner);
    event VetoerSet(address indexed vetoer, bool named);
    event DelaySet(uint32 delay);
}

/// @title IAppTimelock
/// @notice An owner of apps that says what it will do before it does it. Its own owner, an account, a Safe or any other contract,
/// announces calls to the registry of apps; vetoers may refuse each while it is open; once its delay has passed anyone executes it.
/// What keeps something from happening, or protects keys, is done at once.
interface IAppTimelock is IAppTimelockTypes, IAppTimelockErrors, IAppTimelockEvents {
    /* THE OWNER */

    /// @notice Creates an app, which no user can have pinned yet: at once. The owner.
    /// @param images Images that may get its keys from the beginning.
    function create(
        bytes32 salt,
        bytes32 manifestId,
        EnforcedFields calldata fields,
        bytes32[] calldata images
    ) external returns (bytes32 app);

    /// @notice Takes an app that its owner offered this contract. The owner.
    function acceptApp(bytes32 app) external;

    /// @notice Announces a call. The owner; at most 16 are open at once.
    /// @param toRegistry To the registry of apps, or to this contract itself.
    /// @return number Counts from 1.
    function announce(bool toRegistry, bytes calldata data) external returns (uint32 number);

    /// @notice Takes back a version that waits in the registry: at once. The owner.
    function withdraw(bytes32 app, uint24 version) external;

    /// @notice Keeps an image from an app's keys: at once. The owner.
    function unpinImage(bytes32 app, bytes32 imageId) external;

    /// @notice Raises the versions of an app's keys: at once, since a compromise can't wait. The owner.
    function raiseKeyVersions(bytes32 app, uint32 keyVersion, uint32 minKeyVersion) external;

    /// @notice Takes back what it announced. The owner; anyone once it has expired.
    function cancel(uint32 number) external;

    /* OTHERS */

    /// @notice Refuses what was announced, for good, while it is open. A vetoer.
    /// @dev Warning: its own removal too. Name vetoers who may stop an app's changes for ever.
    function veto(uint32 number) external;

    /// @notice Makes an announced call, from its time on and for 14 days. Anyone. Fails as the call itself does.
    function execute(uint32 number) external;

    /* ITSELF, AS ANNOUNCED */

    /// @notice Hands this contract, with its apps, to another owner. This contract alone.
    function setOwner(address newOwner) external;

    /// @notice Names a vetoer, or no longer. This contract alone.
    function setVetoer(address vetoer, bool named) external;

    /// @notice Sets how long later announcements wait. This contract alone.
    function setDelay(uint32 newDelay) external;

    /* VIEWS */

    function registry() external view returns (IAppRegistry);

    function owner() external view returns (address);

    /// @notice Seconds from an announcement until it may be executed: 60 to 7,776,000 (90 days).
    function delay() external view returns (uint32);

    function isVetoer(address account) external view returns (bool);

    /// @notice At most 8.
    function vetoers() external view returns (address[] memory);

    /// @notice How many calls were ever announced.
    function announcedCount() external view returns (uint32);

    /// @notice The numbers of those that are not executed, vetoed or cancelled, in no order; at most 16.
    function openNumbers() external view returns (uint32[] memory);

    function announcementOf(uint32 number) external view returns (Announcement memory);
}
