// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What contracts must enforce about an app, beside its manifest's id. Whoever sees the manifest say something
/// else refuses the app.
/// @param upgradeNoticeSeconds How long a later version stays pending.
/// @param keyVersion The version of the app's keys in use, from 1, never lowered.
/// @param minKeyVersion The oldest version whose keys are still released, never lowered.
/// @param kind 0 function, 1 wasm, 2 model, 3 container.
/// @param imagePolicy Which images get the app's keys: 0 those of the network, 1 those its owner pins, 2 those in both.
/// @param replicas Hosts, 1 to 64.
/// @param stateful Whether the app keeps state.
/// @param vetoer Who may veto the next version while it is pending; zero for nobody.
struct EnforcedFields {
    // ### 1st slot, 128 bits
    uint32 upgradeNoticeSeconds;
    uint32 keyVersion;
    uint32 minKeyVersion;
    uint8 kind;
    uint8 imagePolicy;
    uint8 replicas;
    bool stateful;
    // ### 2nd slot, written only where there is a vetoer
    address vetoer;
}

interface IAppRegistryTypes {
    /// @notice Unknown: never published. Pending: published, its notice runs. Serving: the app's present version.
    /// Superseded: served until a later one did. Withdrawn: taken back or vetoed before it served.
    enum VersionState {
        Unknown,
        Pending,
        Serving,
        Superseded,
        Withdrawn
    }

    /// @param effectiveAt Unix seconds from which it serves; zero where it was withdrawn.
    struct VersionInfo {
        VersionState state;
        uint64 effectiveAt;
        bytes32 manifestId;
        EnforcedFields fields;
    }
}

interface IAppRegistryErrors {
    error AppRegistryAppExists(bytes32 app);
    error AppRegistryAppUnknown(bytes32 app);
    error AppRegistryCallerNotOwner(address caller, address owner);
    error AppRegistryCallerNotPendingOwner(address caller, address pendingOwner);
    error AppRegistryCallerNotVetoer(address caller, address vetoer);
    error AppRegistryManifestMissing();
    error AppRegistryNoticeTooLong(uint32 noticeSeconds, uint32 maximum);
    error AppRegistryKindInvalid(uint8 kind);
    error AppRegistryImagePolicyInvalid(uint8 imagePolicy);
    error AppRegistryReplicasOutOfRange(uint8 replicas, uint8 maximum);
    error AppRegistryKeyVersionsInvalid(uint32 keyVersion, uint32 minKeyVersion);
    error AppRegistryKeyVersionLowered(
        uint32 keyVersion,
        uint32 minKeyVersion,
        uint32 servingKeyVersion,
        uint32 servingMinKeyVersion
    );
    error AppRegistryVersionPending(bytes32 app, uint24 version, uint64 effectiveAt);
    error AppRegistryVersionNotPending(bytes32 app, uint24 version);
    error AppRegistryImageMissing();
    error AppRegistryImagePinned(bytes32 app, bytes32 imageId);
    error AppRegistryImageNotPinned(bytes32 app, bytes32 imageId);
}

interface IAppRegistryEvents {
    event AppCreated(bytes32 indexed app, address indexed owner, bytes32 salt);

    /// @notice A version, the first one included, serves from `effectiveAt` (unix seconds) unless it is withdrawn.
    event VersionPublished(
        bytes32 indexed app,
        uint24 indexed version,
        bytes32 indexed manifestId,
        EnforcedFields fields,
        uint64 effectiveAt
    );

    /// @notice From now on, for the serving version and the pending one.
    event KeyVersionsRaised(bytes32 indexed app, uint32 keyVersion, uint32 minKeyVersion);

    event VersionVetoed(bytes32 indexed app, uint24 indexed version, address vetoer);
    event VersionWithdrawn(bytes32 indexed app, uint24 indexed version);
    event AppOwnershipTransferStarted(bytes32 indexed app, address indexed owner, address indexed pendingOwner);
    event AppOwnershipTransferred(bytes32 indexed app, address indexed previousOwner, address indexed owner);
    event ImagePinned(bytes32 indexed app, bytes32 indexed imageId);
    event ImageUnpinned(bytes32 indexed app, bytes32 indexed imageId);
    event SecretsSet(bytes32 indexed app, bytes32 indexed bundleId, address indexed setBy);
}

/// @title IAppRegistry
/// @notice Which manifest each app runs under, and with how much notice that changes.
interface IAppRegistry is IAppRegistryTypes, IAppRegistryErrors, IAppRegistryEvents {
    /// @notice Creates the caller's app; its version 1 serves at once. Anyone.
    /// @param salt Chosen by the owner; one app each.
    /// @return app H("cloister/app-id: v1", owner, salt). It stays when the app changes hands.
    /// @dev Warning: the manifest's bytes are not seen here; nothing checks that `fields` say what it says.
    function create(
        bytes32 salt,
        bytes32 manifestId,
        EnforcedFields calldata fields
    ) external returns (bytes32 app);

    /// @notice Publishes the next version; it serves after the notice of the serving one, which serves until then.
    /// The app's owner. One version at a time may be pending.
    /// @return version Counts from 1, without gaps; a withdrawn version's number is not used again.
    /// @dev Warning: `fields` bind from when the version serves, its notice and its vetoer too.
    function publish(
        bytes32 app,
        bytes32 manifestId,
        EnforcedFields calldata fields
    ) external returns (uint24 version);

    /// @notice Takes back the pending version. The app's owner.
    function withdraw(bytes32 app, uint24 version) external;

    /// @notice Refuses the pending version for good. The serving version's vetoer.
    function veto(bytes32 app, uint24 version) external;

    /// @notice Offers the app to another owner; zero takes the offer back. The app's owner.
    function transferOwnership(bytes32 app, address newOwner) external;

    /// @notice Takes an offered app. Who it was offered to.
    function acceptOwnership(bytes32 app) external;

    /// @notice Allows an image to get the app's keys, where its image policy asks its owner. The app's owner; at once,
    /// and for every version.
    function pinImage(bytes32 app, bytes32 imageId) external;

    /// @notice Allows it no longer. The app's owner; at once. Warning: what a worker of that image already knows, it knows.
    function unpinImage(bytes32 app, bytes32 imageId) external;

    /// @notice Raises the versions of the app's keys, at once and whatever notice its versions give: a compromise can't wait,
    /// and keys are not code. The app's owner.
    /// @param keyVersion Not below the present one.
    /// @param minKeyVersion Not below the present one, not above `keyVersion`. Older keys are released to nobody any more.
    /// @dev Warning: protects what is sealed from now on. What a broken TEE has seen must be changed at its source.
    function raiseKeyVersions(bytes32 app, uint32 keyVersion, uint32 minKeyVersion) external;

    /// @notice Anchors the app's sealed secrets in place of those before. The app's owner; at once, whatever notice its
    /// versions give: secrets are values, what uses them is code.
    /// @param bundleId sha256 of the bundle's canonical JSON; zero takes the secrets back.
    /// @dev Warning: the bundle's bytes are not seen here. Hosts refuse one that lacks a name of the serving
    /// manifest's, and any whose entries `setBy` did not sign.
    function setSecrets(bytes32 app, bytes32 bundleId) external;

    /// @notice The serving version, its manifest and its enforced fields. Reverts for an unknown app.
    function current(bytes32 app)
        external
        view
        returns (bytes32 manifestId, uint24 version, EnforcedFields memory fields);

    /// @notice Whether the app's serving version has this manifest; false for an unknown app.
    function isCurrentManifest(bytes32 app, bytes32 manifestId) external view returns (bool);

    /// @notice The version that served at a time, unix seconds not after the present; zero before the first one.
    /// @dev Warning: walks back over the versions since then; meant for reading off chain.
    function versionAt(bytes32 app, uint64 timestamp) external view returns (uint24 version);

    /// @notice A version by its number.
    function versionOf(bytes32 app, uint24 version) external view returns (VersionInfo memory);

    /// @notice How many versions were published.
    function versionCount(bytes32 app) external view returns (uint24);

    /// @notice The app's owner, zero for an unknown app.
    function ownerOf(bytes32 app) external view returns (address);

    /// @notice Who may accept the app, zero for nobody.
    function pendingOwnerOf(bytes32 app) external view returns (address);

    /// @notice Whether the app's owner allows the image; false for an unknown app.
    function isImagePinned(bytes32 app, bytes32 imageId) external view returns (bool);

    /// @notice The app's sealed secrets. All zero where none were ever set.
    /// @return bundleId sha256 of the bundle's canonical JSON; zero where there are none.
    /// @return setBy Who set them, the app's owner then, and so whose signatures the bundle must carry.
    /// @return setAt Unix seconds.
    function secretsOf(bytes32 app) external view returns (bytes32 bundleId, address setBy, uint64 setAt);
}
