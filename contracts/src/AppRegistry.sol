// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnforcedFields, IAppRegistry} from "./IAppRegistry.sol";
import {Ids} from "./libraries/Ids.sol";

/// @title AppRegistry
/// @dev Nobody governs it: an app belongs to its owner.
contract AppRegistry is IAppRegistry {
    struct App {
        // ### 1st slot
        address owner;
        /// The newest version known to have served when the app was last written.
        uint24 serving;
        /// The newest version published.
        uint24 last;
        /// From when `last` serves, unix seconds; zero where it was withdrawn.
        uint40 lastEffectiveAt;
    }

    struct Version {
        // ### 1st slot
        bytes32 manifestId;
        // ### 2nd slot, the enforced fields but for the vetoer
        uint32 upgradeNoticeSeconds;
        uint32 keyVersion;
        uint32 minKeyVersion;
        uint8 kind;
        uint8 imagePolicy;
        uint8 replicas;
        bool stateful;
        uint40 effectiveAt;
        // ### 3rd slot, written only where there is one
        address vetoer;
    }

    struct Secrets {
        // ### 1st slot
        bytes32 bundleId;
        // ### 2nd slot
        address setBy;
        uint64 setAt;
    }

    uint32 private constant MAX_NOTICE = 365 days;
    uint8 private constant MAX_KIND = 3;
    uint8 private constant MAX_IMAGE_POLICY = 2;
    uint8 private constant MAX_REPLICAS = 64;

    /// @inheritdoc IAppRegistry
    mapping(bytes32 app => address) public pendingOwnerOf;
    /// @inheritdoc IAppRegistry
    mapping(bytes32 app => mapping(bytes32 imageId => bool)) public isImagePinned;
    /// @inheritdoc IAppRegistry
    mapping(bytes32 app => Secrets) public secretsOf;

    mapping(bytes32 app => App) private _apps;
    mapping(bytes32 app => mapping(uint24 version => Version)) private _versions;

    /* OWNERS */

    /// @inheritdoc IAppRegistry
    function create(
        bytes32 salt,
        bytes32 manifestId,
        EnforcedFields calldata fields
    ) external returns (bytes32 app) {
        app = Ids.appId(msg.sender, salt);
        if (_apps[app].owner != address(0)) revert AppRegistryAppExists(app);
        _checkFields(manifestId, fields);

        _apps[app].owner = msg.sender;
        emit AppCreated(app, msg.sender, salt);
        _publish(app, 0, 1, block.timestamp, manifestId, fields);
    }

    /// @inheritdoc IAppRegistry
    function publish(
        bytes32 app,
        bytes32 manifestId,
        EnforcedFields calldata fields
    ) external returns (uint24 version) {
        App memory known = _checkOwner(app);
        if (_isPending(known)) revert AppRegistryVersionPending(app, known.last, known.lastEffectiveAt);
        _checkFields(manifestId, fields);

        uint24 serving = _serving(known);
        Version storage old = _versions[app][serving];
        _checkNotLowered(old, fields.keyVersion, fields.minKeyVersion);
        version = known.last + 1;
        _publish(app, serving, version, block.timestamp + old.upgradeNoticeSeconds, manifestId, fields);
    }

    /// @inheritdoc IAppRegistry
    function withdraw(bytes32 app, uint24 version) external {
        _dropPending(app, version, _checkOwner(app));
        emit VersionWithdrawn(app, version);
    }

    /// @inheritdoc IAppRegistry
    function transferOwnership(bytes32 app, address newOwner) external {
        _checkOwner(app);
        pendingOwnerOf[app] = newOwner;
        emit AppOwnershipTransferStarted(app, msg.sender, newOwner);
    }

    /// @inheritdoc IAppRegistry
    function acceptOwnership(bytes32 app) external {
        address pendingOwner = pendingOwnerOf[app];
        // An unknown app has no pending owner, so nobody passes.
        if (msg.sender != pendingOwner) revert AppRegistryCallerNotPendingOwner(msg.sender, pendingOwner);
        address previousOwner = _apps[app].owner;
        delete pendingOwnerOf[app];
        _apps[app].owner = msg.sender;
        emit AppOwnershipTransferred(app, previousOwner, msg.sender);
    }

    /// @inheritdoc IAppRegistry
    function pinImage(bytes32 app, bytes32 imageId) external {
        _checkOwner(app);
        if (imageId == 0) revert AppRegistryImageMissing();
        if (isImagePinned[app][imageId]) revert AppRegistryImagePinned(app, imageId);
        isImagePinned[app][imageId] = true;
        emit ImagePinned(app, imageId);
    }

    /// @inheritdoc IAppRegistry
    function unpinImage(bytes32 app, bytes32 imageId) external {
        _checkOwner(app);
        if (!isImagePinned[app][imageId]) revert AppRegistryImageNotPinned(app, imageId);
        delete isImagePinned[app][imageId];
        emit ImageUnpinned(app, imageId);
    }

    /// @inheritdoc IAppRegistry
    function raiseKeyVersions(bytes32 app, uint32 keyVersion, uint32 minKeyVersion) external {
        App memory known = _checkOwner(app);
        Version storage serving = _versions[app][_serving(known)];
        if (minKeyVersion == 0 || minKeyVersion > keyVersion) {
            revert AppRegistryKeyVersionsInvalid(keyVersion, minKeyVersion);
        }
        _checkNotLowered(serving, keyVersion, minKeyVersion);
        _raise(serving, keyVersion, minKeyVersion);
        // Or it would lower them when it serves.
        if (_isPending(known)) _raise(_versions[app][known.last], keyVersion, minKeyVersion);
        emit KeyVersionsRaised(app, keyVersion, minKeyVersion);
    }

    /// @inheritdoc IAppRegistry
    function setSecrets(bytes32 app, bytes32 bundleId) external {
        _checkOwner(app);
        secretsOf[app] = Secrets({bundleId: bundleId, setBy: msg.sender, setAt: uint64(block.timestamp)});
        emit SecretsSet(app, bundleId, msg.sender);
    }

    /* VETOERS */

    /// @inheritdoc IAppRegistry
    function veto(bytes32 app, uint24 version) external {
        App memory known = _checkKnown(app);
        address vetoer = _versions[app][_serving(known)].vetoer;
        if (vetoer == address(0) || msg.sender != vetoer) revert AppRegistryCallerNotVetoer(msg.sender, vetoer);
        _dropPending(app, version, known);
        emit VersionVetoed(app, version, msg.sender);
    }

    /* VIEWS */

    /// @inheritdoc IAppRegistry
    function current(bytes32 app)
        external
        view
        returns (bytes32 manifestId, uint24 version, EnforcedFields memory fields)
    {
        version = _serving(_checkKnown(app));
        Version storage serving = _versions[app][version];
        return (serving.manifestId, version, _fieldsOf(serving));
    }

    /// @inheritdoc IAppRegistry
    function isCurrentManifest(bytes32 app, bytes32 manifestId) external view returns (bool) {
        // An unknown app has version 0 with manifest zero, which no app can have.
        return manifestId != 0 && _versions[app][_serving(_apps[app])].manifestId == manifestId;
    }

    /// @inheritdoc IAppRegistry
    function versionAt(bytes32 app, uint64 timestamp) external view returns (uint24 version) {
        App memory known = _checkKnown(app);
        uint256 moment = timestamp < block.timestamp ? timestamp : block.timestamp;
        for (version = _serving(known); version > 0; --version) {
            uint40 effectiveAt = _versions[app][version].effectiveAt;
            if (effectiveAt != 0 && effectiveAt <= moment) return version;
        }
    }

    /// @inheritdoc IAppRegistry
    function versionOf(bytes32 app, uint24 version) external view returns (VersionInfo memory info) {
        App memory known = _checkKnown(app);
        Version storage published = _versions[app][version];
        info.manifestId = published.manifestId;
        info.effectiveAt = published.effectiveAt;
        info.fields = _fieldsOf(published);
        if (published.manifestId == 0) info.state = VersionState.Unknown;
        else if (published.effectiveAt == 0) info.state = VersionState.Withdrawn;
        else if (published.effectiveAt > block.timestamp) info.state = VersionState.Pending;
        else if (version == _serving(known)) info.state = VersionState.Serving;
        else info.state = VersionState.Superseded;
    }

    /// @inheritdoc IAppRegistry
    function versionCount(bytes32 app) external view returns (uint24) {
        return _apps[app].last;
    }

    /// @inheritdoc IAppRegistry
    function ownerOf(bytes32 app) external view returns (address) {
        return _apps[app].owner;
    }

    /* INTERNALS */

    function _publish(
        bytes32 app,
        uint24 serving,
        uint24 version,
        uint256 effectiveAt,
        bytes32 manifestId,
        EnforcedFields calldata fields
    ) private {
        App storage stored = _apps[app];
        stored.serving = serving;
        stored.last = version;
        // No truncation: at most now + MAX_NOTICE.
        stored.lastEffectiveAt = uint40(effectiveAt);

        Version storage published = _versions[app][version];
        published.manifestId = manifestId;
        published.upgradeNoticeSeconds = fields.upgradeNoticeSeconds;
        published.keyVersion = fields.keyVersion;
        published.minKeyVersion = fields.minKeyVersion;
        published.kind = fields.kind;
        published.imagePolicy = fields.imagePolicy;
        published.replicas = fields.replicas;
        published.stateful = fields.stateful;
        published.effectiveAt = uint40(effectiveAt);
        if (fields.vetoer != address(0)) published.vetoer = fields.vetoer;
        emit VersionPublished(app, version, manifestId, fields, uint64(effectiveAt));
    }

    function _dropPending(bytes32 app, uint24 version, App memory known) private {
        if (!_isPending(known) || version != known.last) revert AppRegistryVersionNotPending(app, version);
        _apps[app].lastEffectiveAt = 0;
        _versions[app][version].effectiveAt = 0;
    }

    function _raise(Version storage version, uint32 keyVersion, uint32 minKeyVersion) private {
        if (version.keyVersion < keyVersion) version.keyVersion = keyVersion;
        if (version.minKeyVersion < minKeyVersion) version.minKeyVersion = minKeyVersion;
    }

    function _checkNotLowered(Version storage old, uint32 keyVersion, uint32 minKeyVersion) private view {
        if (keyVersion < old.keyVersion || minKeyVersion < old.minKeyVersion) {
            revert AppRegistryKeyVersionLowered(keyVersion, minKeyVersion, old.keyVersion, old.minKeyVersion);
        }
    }

    function _checkKnown(bytes32 app) private view returns (App memory known) {
        known = _apps[app];
        if (known.owner == address(0)) revert AppRegistryAppUnknown(app);
    }

    function _checkOwner(bytes32 app) private view returns (App memory known) {
        known = _checkKnown(app);
        if (msg.sender != known.owner) revert AppRegistryCallerNotOwner(msg.sender, known.owner);
    }

    function _checkFields(bytes32 manifestId, EnforcedFields calldata fields) private pure {
        if (manifestId == 0) revert AppRegistryManifestMissing();
        if (fields.upgradeNoticeSeconds > MAX_NOTICE) {
            revert AppRegistryNoticeTooLong(fields.upgradeNoticeSeconds, MAX_NOTICE);
        }
        if (fields.kind > MAX_KIND) revert AppRegistryKindInvalid(fields.kind);
        if (fields.imagePolicy > MAX_IMAGE_POLICY) revert AppRegistryImagePolicyInvalid(fields.imagePolicy);
        if (fields.replicas == 0 || fields.replicas > MAX_REPLICAS) {
            revert AppRegistryReplicasOutOfRange(fields.replicas, MAX_REPLICAS);
        }
        if (fields.minKeyVersion == 0 || fields.minKeyVersion > fields.keyVersion) {
            revert AppRegistryKeyVersionsInvalid(fields.keyVersion, fields.minKeyVersion);
        }
    }

    function _isPending(App memory known) private view returns (bool) {
        return known.lastEffectiveAt > block.timestamp;
    }

    /// @dev The pending version serves from its time on without anybody's transaction.
    function _serving(App memory known) private view returns (uint24) {
        return known.lastEffectiveAt != 0 && known.lastEffectiveAt <= block.timestamp ? known.last : known.serving;
    }

    function _fieldsOf(Version storage version) private view returns (EnforcedFields memory) {
        return EnforcedFields({
            upgradeNoticeSeconds: version.upgradeNoticeSeconds,
            keyVersion: version.keyVersion,
            minKeyVersion: version.minKeyVersion,
            kind: version.kind,
            imagePolicy: version.imagePolicy,
            replicas: version.replicas,
            stateful: version.stateful,
            vetoer: version.vetoer
        });
    }
}
