// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";

import {EnforcedFields, IAppRegistry} from "../IAppRegistry.sol";
import {CodeBlob} from "../libraries/CodeBlob.sol";
import {IAppTimelock} from "./IAppTimelock.sol";

/// @title AppTimelock
/// @dev Holds no funds and has no other target than the registry and itself: whoever reads an announcement knows all it can do.
contract AppTimelock is IAppTimelock {
    struct Stored {
        // ### 1st slot
        address blob;
        uint64 readyAt;
        bool toRegistry;
        /// Unknown, Waiting for all that is open, or how it ended.
        State state;
    }

    uint32 private constant MIN_DELAY = 1 minutes;
    uint32 private constant MAX_DELAY = 90 days;
    uint64 private constant GRACE = 14 days;
    uint256 private constant MAX_VETOERS = 8;
    uint256 private constant MAX_OPEN = 16;

    /// @inheritdoc IAppTimelock
    IAppRegistry public immutable registry;

    /// @inheritdoc IAppTimelock
    address public owner;

    /// @inheritdoc IAppTimelock
    uint32 public delay;

    /// @inheritdoc IAppTimelock
    uint32 public announcedCount;

    /// @inheritdoc IAppTimelock
    mapping(address account => bool) public isVetoer;

    address[] private _vetoers;
    mapping(uint32 number => Stored) private _announced;
    uint32[] private _open;

    constructor(IAppRegistry registry_, address owner_, address[] memory vetoers_, uint32 delay_) {
        if (address(registry_).code.length == 0) revert AppTimelockRegistryWithoutCode(address(registry_));
        registry = registry_;
        _setOwner(owner_);
        _setDelay(delay_);
        for (uint256 index = 0; index < vetoers_.length; ++index) {
            _setVetoer(vetoers_[index], true);
        }
    }

    modifier onlyOwner() {
        if (msg.sender != owner) revert AppTimelockCallerNotOwner(msg.sender, owner);
        _;
    }

    modifier onlySelf() {
        if (msg.sender != address(this)) revert AppTimelockCallerNotSelf(msg.sender);
        _;
    }

    /* THE OWNER */

    /// @inheritdoc IAppTimelock
    function create(
        bytes32 salt,
        bytes32 manifestId,
        EnforcedFields calldata fields,
        bytes32[] calldata images
    ) external onlyOwner returns (bytes32 app) {
        app = registry.create(salt, manifestId, fields);
        for (uint256 index = 0; index < images.length; ++index) {
            registry.pinImage(app, images[index]);
        }
    }

    /// @inheritdoc IAppTimelock
    function acceptApp(bytes32 app) external onlyOwner {
        registry.acceptOwnership(app);
    }

    /// @inheritdoc IAppTimelock
    function announce(bool toRegistry, bytes calldata data) external onlyOwner returns (uint32 number) {
        if (data.length < 4) revert AppTimelockCallTooShort(data.length);
        // Or an owner could hide what matters among what does not.
        if (_open.length == MAX_OPEN) revert AppTimelockOpenTooMany(MAX_OPEN);
        number = ++announcedCount;
        uint64 readyAt = uint64(block.timestamp) + delay;
        _announced[number] =
            Stored({blob: CodeBlob.write(data), readyAt: readyAt, toRegistry: toRegistry, state: State.Waiting});
        _open.push(number);
        emit Announced(number, toRegistry, readyAt, data);
    }

    /// @inheritdoc IAppTimelock
    function withdraw(bytes32 app, uint24 version) external onlyOwner {
        registry.withdraw(app, version);
    }

    /// @inheritdoc IAppTimelock
    function unpinImage(bytes32 app, bytes32 imageId) external onlyOwner {
        registry.unpinImage(app, imageId);
    }

    /// @inheritdoc IAppTimelock
    function raiseKeyVersions(bytes32 app, uint32 keyVersion, uint32 minKeyVersion) external onlyOwner {
        registry.raiseKeyVersions(app, keyVersion, minKeyVersion);
    }

    /// @inheritdoc IAppTimelock
    function cancel(uint32 number) external {
        bool isExpired = _stateOf(_announced[number]) == State.Expired;
        if (!isExpired && msg.sender != owner) revert AppTimelockCallerNotOwner(msg.sender, owner);
        _close(number, State.Cancelled);
        emit Cancelled(number, msg.sender);
    }

    /* OTHERS */

    /// @inheritdoc IAppTimelock
    function veto(uint32 number) external {
        if (!isVetoer[msg.sender]) revert AppTimelockCallerNotVetoer(msg.sender);
        _close(number, State.Vetoed);
        emit Vetoed(number, msg.sender);
    }

    /// @inheritdoc IAppTimelock
    function execute(uint32 number) external {
        Stored memory stored = _announced[number];
        _close(number, State.Executed);
        if (_stateOf(stored) != State.Ready) {
            revert AppTimelockNotReady(number, stored.readyAt, stored.readyAt + GRACE);
        }
        emit Executed(number);
        // Closed before the call: nothing that it reaches executes it again.
        Address.functionCall(stored.toRegistry ? address(registry) : address(this), CodeBlob.read(stored.blob));
    }

    /* ITSELF, AS ANNOUNCED */

    /// @inheritdoc IAppTimelock
    function setOwner(address newOwner) external onlySelf {
        _setOwner(newOwner);
    }

    /// @inheritdoc IAppTimelock
    function setVetoer(address vetoer, bool named) external onlySelf {
        _setVetoer(vetoer, named);
    }

    /// @inheritdoc IAppTimelock
    function setDelay(uint32 newDelay) external onlySelf {
        _setDelay(newDelay);
    }

    /* VIEWS */

    /// @inheritdoc IAppTimelock
    function vetoers() external view returns (address[] memory) {
        return _vetoers;
    }

    /// @inheritdoc IAppTimelock
    function openNumbers() external view returns (uint32[] memory) {
        return _open;
    }

    /// @inheritdoc IAppTimelock
    function announcementOf(uint32 number) external view returns (Announcement memory) {
        Stored memory stored = _announced[number];
        return Announcement({
            state: _stateOf(stored),
            toRegistry: stored.toRegistry,
            readyAt: stored.readyAt,
            data: CodeBlob.read(stored.blob)
        });
    }

    /* INTERNALS */

    function _stateOf(Stored memory stored) private view returns (State) {
        if (stored.state != State.Waiting || block.timestamp < stored.readyAt) return stored.state;
        return block.timestamp < stored.readyAt + GRACE ? State.Ready : State.Expired;
    }

    function _close(uint32 number, State state) private {
        if (_announced[number].state != State.Waiting) revert AppTimelockNotOpen(number);
        _announced[number].state = state;
        uint256 last = _open.length - 1;
        for (uint256 index = 0; index <= last; ++index) {
            if (_open[index] != number) continue;
            _open[index] = _open[last];
            break;
        }
        _open.pop();
    }

    function _setOwner(address newOwner) private {
        // Nobody could announce anything any more, and apps would keep their last version by mistake.
        if (newOwner == address(0)) revert AppTimelockOwnerMissing();
        owner = newOwner;
        emit OwnerSet(newOwner);
    }

    function _setDelay(uint32 newDelay) private {
        if (newDelay < MIN_DELAY || newDelay > MAX_DELAY) {
            revert AppTimelockDelayOutOfRange(newDelay, MIN_DELAY, MAX_DELAY);
        }
        delay = newDelay;
        emit DelaySet(newDelay);
    }

    function _setVetoer(address vetoer, bool named) private {
        if (isVetoer[vetoer] == named) revert AppTimelockVetoerUnchanged(vetoer);
        isVetoer[vetoer] = named;
        if (named) {
            _vetoers.push(vetoer);
            if (_vetoers.length > MAX_VETOERS) revert AppTimelockVetoersTooMany(_vetoers.length, MAX_VETOERS);
        } else {
            uint256 index = 0;
            while (_vetoers[index] != vetoer) ++index;
            _vetoers[index] = _vetoers[_vetoers.length - 1];
            _vetoers.pop();
        }
        emit VetoerSet(vetoer, named);
    }
}
