// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governed} from "./governance/Governed.sol";
import {IImageRegistry} from "./IImageRegistry.sol";

/// @title ImageRegistry
contract ImageRegistry is IImageRegistry, Governed {
    struct Window {
        // ### 1st slot
        uint64 notBefore;
        uint64 expiresAt;
    }

    uint256 private constant MAX_LABEL_LENGTH = 64;

    mapping(bytes32 imageId => Window) private _images;
    mapping(bytes32 configId => bool) private _configs;

    /// @inheritdoc IImageRegistry
    mapping(bytes32 platformId => bool) public isPlatformBlocked;

    constructor(address timelock_) Governed(timelock_) {}

    /// @inheritdoc IImageRegistry
    function allow(
        bytes32 imageId,
        uint64 notBefore,
        uint64 expiresAt,
        string calldata label
    ) external onlyTimelock {
        if (imageId == 0) revert ImageRegistryZeroId();
        if (expiresAt <= notBefore || expiresAt <= block.timestamp) {
            revert ImageRegistryWindowEmpty(notBefore, expiresAt, block.timestamp);
        }
        _checkLabel(label);
        _images[imageId] = Window({notBefore: notBefore, expiresAt: expiresAt});
        emit ImageAllowed(imageId, notBefore, expiresAt, label);
    }

    /// @inheritdoc IImageRegistry
    function revoke(bytes32 imageId) external onlyTimelock {
        if (_images[imageId].expiresAt == 0) revert ImageRegistryImageUnknown(imageId);
        delete _images[imageId];
        emit ImageRevoked(imageId);
    }

    /// @inheritdoc IImageRegistry
    function allowConfig(bytes32 configId) external onlyTimelock {
        if (configId == 0) revert ImageRegistryZeroId();
        _configs[configId] = true;
        emit ConfigAllowed(configId);
    }

    /// @inheritdoc IImageRegistry
    function revokeConfig(bytes32 configId) external onlyTimelock {
        if (!_configs[configId]) revert ImageRegistryConfigUnknown(configId);
        delete _configs[configId];
        emit ConfigRevoked(configId);
    }

    /// @inheritdoc IImageRegistry
    function blockPlatform(bytes32 platformId, string calldata reason) external onlyTimelock {
        if (platformId == 0) revert ImageRegistryZeroId();
        if (isPlatformBlocked[platformId]) revert ImageRegistryPlatformBlocked(platformId);
        _checkLabel(reason);
        isPlatformBlocked[platformId] = true;
        emit PlatformBlocked(platformId, reason);
    }

    /// @inheritdoc IImageRegistry
    function unblockPlatform(bytes32 platformId) external onlyTimelock {
        if (!isPlatformBlocked[platformId]) revert ImageRegistryPlatformNotBlocked(platformId);
        delete isPlatformBlocked[platformId];
        emit PlatformUnblocked(platformId);
    }

    /// @inheritdoc IImageRegistry
    function isImageAllowed(bytes32 imageId) public view returns (bool) {
        Window memory window = _images[imageId];
        return window.notBefore <= block.timestamp && block.timestamp < window.expiresAt;
    }

    /// @inheritdoc IImageRegistry
    function areAllowed(
        bytes32 imageId,
        bytes32 configId
    ) external view returns (bool imageAllowed, bool configAllowed) {
        return (isImageAllowed(imageId), _configs[configId]);
    }

    /// @inheritdoc IImageRegistry
    function isConfigAllowed(bytes32 configId) external view returns (bool) {
        return _configs[configId];
    }

    /// @inheritdoc IImageRegistry
    function imageWindow(bytes32 imageId) external view returns (uint64 notBefore, uint64 expiresAt) {
        Window memory window = _images[imageId];
        return (window.notBefore, window.expiresAt);
    }

    function _checkLabel(string calldata label) private pure {
        uint256 length = bytes(label).length;
        if (length == 0 || length > MAX_LABEL_LENGTH) revert ImageRegistryLabelLength(length, MAX_LABEL_LENGTH);
    }
}
