// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governed} from "./governance/Governed.sol";
import {IImageRegistry, Recipe} from "./IImageRegistry.sol";

/// @title ImageRegistry
contract ImageRegistry is IImageRegistry, Governed {
    struct Image {
        // ### 1st slot, all that a registration reads
        uint64 notBefore;
        uint64 expiresAt;
        // ### 2nd slot
        bytes32 recipe;
    }

    struct Guardian {
        // ### 1st slot
        address account;
        uint64 until;
    }

    uint256 private constant MAX_LABEL_LENGTH = 64;
    uint256 private constant MAX_URI_LENGTH = 256;

    /// @inheritdoc IImageRegistry
    uint64 public constant MAX_NOTICE = 30 days;

    /// @inheritdoc IImageRegistry
    uint64 public constant MAX_OVERLAP = 180 days;

    /// @inheritdoc IImageRegistry
    uint64 public constant MAX_GUARDIAN_TERM = 365 days;

    /// @inheritdoc IImageRegistry
    uint64 public immutable notice;

    mapping(bytes32 imageId => Image) private _images;
    mapping(bytes32 configId => bool) private _configs;

    /// @inheritdoc IImageRegistry
    mapping(bytes32 platformId => bool) public isPlatformBlocked;

    Guardian private _guardian;

    constructor(address timelock_, uint64 notice_) Governed(timelock_) {
        if (notice_ > MAX_NOTICE) revert ImageRegistryNoticeTooLong(notice_, MAX_NOTICE);
        notice = notice_;
    }

    /* IMAGES */

    /// @inheritdoc IImageRegistry
    function allow(
        bytes32 imageId,
        uint64 notBefore,
        uint64 expiresAt,
        string calldata label,
        Recipe calldata recipe
    ) external onlyTimelock {
        if (imageId == 0) revert ImageRegistryZeroId();
        _checkLabel(label);
        _checkRecipe(recipe);
        Image memory known = _images[imageId];
        uint64 from = _later(notBefore, uint64(block.timestamp) + notice);
        if (block.timestamp < known.expiresAt) {
            // Whoever runs it, or prepares to, keeps what was promised before.
            if (expiresAt < known.expiresAt) {
                revert ImageRegistryAllowShortens(imageId, expiresAt, known.expiresAt);
            }
            if (known.notBefore < from) from = known.notBefore;
        }
        if (expiresAt <= from) revert ImageRegistryWindowEmpty(from, expiresAt, block.timestamp);
        _images[imageId] = Image({notBefore: from, expiresAt: expiresAt, recipe: recipe.hash});
        emit ImageAllowed(imageId, recipe.hash, from, expiresAt, label, recipe.uri);
    }

    /// @inheritdoc IImageRegistry
    function retire(bytes32 imageId, bytes32 successor, uint64 overlap) external onlyTimelock {
        if (overlap < notice || overlap > MAX_OVERLAP) {
            revert ImageRegistryOverlapOutOfRange(overlap, notice, MAX_OVERLAP);
        }
        if (imageId == successor) revert ImageRegistrySucceedsItself(imageId);
        Image memory next = _known(successor);
        // No overflow: at most an allowed time and the overlap's bound, and the sum must lie below an expiry.
        uint256 end = uint256(_later(next.notBefore, uint64(block.timestamp))) + overlap;
        if (next.expiresAt < end) revert ImageRegistrySuccessorEnds(successor, next.expiresAt, end);
        _shorten(imageId, uint64(end));
        emit ImageRetired(imageId, successor, uint64(end));
    }

    /// @inheritdoc IImageRegistry
    function shorten(bytes32 imageId, uint64 expiresAt) external {
        if (msg.sender != guardian() && msg.sender != timelock) revert ImageRegistryCallerMayNotShorten(msg.sender);
        uint64 end = _later(expiresAt, uint64(block.timestamp));
        _shorten(imageId, end);
        emit ImageShortened(imageId, end, msg.sender);
    }

    /// @inheritdoc IImageRegistry
    function revoke(bytes32 imageId) external onlyTimelock {
        _known(imageId);
        delete _images[imageId];
        emit ImageRevoked(imageId);
    }

    /// @inheritdoc IImageRegistry
    function setGuardian(address account, uint64 until) external onlyTimelock {
        uint256 latest = block.timestamp + MAX_GUARDIAN_TERM;
        bool isNone = account == address(0) && until == 0;
        if (!isNone && (account == address(0) || until <= block.timestamp || until > latest)) {
            revert ImageRegistryGuardianTermOutOfRange(account, until, latest);
        }
        _guardian = Guardian({account: account, until: until});
        emit GuardianSet(account, until);
    }

    /* NETWORK FILES AND MACHINES */

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

    /* VIEWS */

    /// @inheritdoc IImageRegistry
    function guardian() public view returns (address) {
        return block.timestamp < _guardian.until ? _guardian.account : address(0);
    }

    /// @inheritdoc IImageRegistry
    function guardianUntil() external view returns (uint64) {
        return _guardian.until;
    }

    /// @inheritdoc IImageRegistry
    function isImageAllowed(bytes32 imageId) public view returns (bool) {
        Image storage image = _images[imageId];
        return image.notBefore <= block.timestamp && block.timestamp < image.expiresAt;
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
        Image storage image = _images[imageId];
        return (image.notBefore, image.expiresAt);
    }

    /// @inheritdoc IImageRegistry
    function recipeOf(bytes32 imageId) external view returns (bytes32) {
        return _images[imageId].recipe;
    }

    /* INTERNALS */

    function _shorten(bytes32 imageId, uint64 end) private {
        uint64 expiresAt = _known(imageId).expiresAt;
        if (end >= expiresAt) revert ImageRegistryNotShortened(imageId, end, expiresAt);
        _images[imageId].expiresAt = end;
    }

    function _known(bytes32 imageId) private view returns (Image memory image) {
        image = _images[imageId];
        if (image.expiresAt == 0) revert ImageRegistryImageUnknown(imageId);
    }

    function _checkLabel(string calldata label) private pure {
        uint256 length = bytes(label).length;
        if (length == 0 || length > MAX_LABEL_LENGTH) revert ImageRegistryLabelLength(length, MAX_LABEL_LENGTH);
    }

    function _checkRecipe(Recipe calldata recipe) private view {
        // Images of a network without notice are those of whoever develops there.
        if (recipe.hash == 0 && notice > 0) revert ImageRegistryRecipeMissing();
        uint256 length = bytes(recipe.uri).length;
        if (length > MAX_URI_LENGTH) revert ImageRegistryUriLength(length, MAX_URI_LENGTH);
    }

    function _later(uint64 left, uint64 right) private pure returns (uint64) {
        return left > right ? left : right;
    }
}
