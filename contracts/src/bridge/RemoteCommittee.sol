// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommittee} from "../governance/ICommittee.sol";
import {CodeBlob} from "../libraries/CodeBlob.sol";
import {CommitteeProof} from "../libraries/CommitteeProof.sol";
import {ReceiptLib} from "../receipts/ReceiptLib.sol";
import {Guarded} from "./Guarded.sol";
import {IRemoteCommittee} from "./IRemoteCommittee.sol";
import {TransferWindow} from "./TransferWindow.sol";

/// @title RemoteCommittee
contract RemoteCommittee is IRemoteCommittee, Guarded {
    /// @dev One slot.
    struct Mirror {
        address roll;
        uint40 generation;
        uint40 from;
        uint8 threshold;
    }

    bytes32 private constant HANDOVER_TYPEHASH =
        keccak256("RemoteHandover(uint64 generation,uint8 threshold,address[] signers)");
    uint256 private constant MAX_MEMBERS = 32;
    uint64 private constant MAX_DELAY = 30 days;

    /// @inheritdoc IRemoteCommittee
    uint64 public immutable delay;

    bytes32 private immutable _separator;

    Mirror private _current;
    /// @dev Announced; once its time has come it counts without anybody's doing.
    Mirror private _next;

    /// @param first Counts at once. Warning: nobody signs it. Who relies on this contract compares it with home.
    constructor(
        address timelock_,
        address guardian_,
        uint64 delay_,
        MirroredGeneration memory first
    ) Guarded(timelock_, guardian_) {
        if (delay_ <= TransferWindow.SECONDS || delay_ > MAX_DELAY) {
            revert RemoteCommitteeDelayOutOfRange(delay_, TransferWindow.SECONDS, MAX_DELAY);
        }
        delay = delay_;
        _separator = ReceiptLib.domainSeparator(block.chainid, address(this));
        _check(first, 0);
        _current = _mirrorOf(first, uint64(block.timestamp));
        emit HandoverAnnounced(first.generation, first.threshold, first.signers, uint64(block.timestamp));
    }

    /// @inheritdoc IRemoteCommittee
    function handOver(
        MirroredGeneration calldata next,
        bytes calldata previousProof,
        bytes calldata heldProof
    ) external whenRunning {
        _settle();
        if (_next.generation != 0) revert RemoteCommitteePending(_next.generation, _next.from);
        Mirror memory known = _current;
        _check(next, known.generation);
        bytes32 digest = handoverDigest(next);
        if (msg.sender != timelock && !_holds(known.roll, known.threshold, digest, previousProof)) {
            revert RemoteCommitteeNotSignedByMembers(digest);
        }
        uint64 from = uint64(block.timestamp) + delay;
        Mirror memory mirror = _mirrorOf(next, from);
        if (!_holds(mirror.roll, mirror.threshold, digest, heldProof)) revert RemoteCommitteeNotSignedByHolders(digest);
        _next = mirror;
        emit HandoverAnnounced(next.generation, next.threshold, next.signers, from);
    }

    /// @inheritdoc ICommittee
    function verify(bytes32 digest, bytes calldata proof) external view returns (bool) {
        Mirror memory mirror = _counting();
        return _holds(mirror.roll, mirror.threshold, digest, proof);
    }

    /// @inheritdoc IRemoteCommittee
    function current() external view returns (MirroredGeneration memory) {
        return _shown(_counting());
    }

    /// @inheritdoc IRemoteCommittee
    function announced() external view returns (MirroredGeneration memory next, uint64 from) {
        if (_next.generation == 0 || block.timestamp >= _next.from) return (next, 0);
        return (_shown(_next), _next.from);
    }

    /// @inheritdoc IRemoteCommittee
    function handoverDigest(MirroredGeneration memory next) public view returns (bytes32) {
        // Of an array EIP-712 hashes the words alone, which is how packing pads the addresses.
        bytes32 signersHash = keccak256(abi.encodePacked(next.signers));
        return ReceiptLib.toDigest(
            _separator, keccak256(abi.encode(HANDOVER_TYPEHASH, next.generation, next.threshold, signersHash))
        );
    }

    /// @dev A stop ends what is announced, else it would count while nobody may announce another.
    function _onStop() internal override {
        _settle();
        uint64 generation = _next.generation;
        if (generation == 0) return;
        delete _next;
        emit HandoverCancelled(generation);
    }

    function _settle() private {
        if (_next.generation == 0 || block.timestamp < _next.from) return;
        _current = _next;
        delete _next;
    }

    function _mirrorOf(MirroredGeneration memory generation, uint64 from) private returns (Mirror memory) {
        return Mirror({
            roll: CodeBlob.write(abi.encodePacked(generation.signers)),
            generation: uint40(generation.generation),
            from: uint40(from),
            threshold: generation.threshold
        });
    }

    function _counting() private view returns (Mirror memory) {
        return _next.generation != 0 && block.timestamp >= _next.from ? _next : _current;
    }

    function _shown(Mirror memory mirror) private view returns (MirroredGeneration memory) {
        bytes memory words = CodeBlob.read(mirror.roll);
        address[] memory signers = new address[](words.length / 32);
        for (uint256 i = 0; i < signers.length; ++i) {
            signers[i] = address(uint160(uint256(CommitteeProof.wordAt(words, i))));
        }
        return MirroredGeneration({
            generation: mirror.generation,
            threshold: mirror.threshold,
            signers: signers
        });
    }

    function _holds(address roll, uint8 threshold, bytes32 digest, bytes calldata proof) private view returns (bool) {
        bytes memory words = CodeBlob.read(roll);
        // The proof's form has three words for each member, of which only the first third is read.
        return CommitteeProof.holds(digest, proof, bytes.concat(words, new bytes(2 * words.length)), threshold);
    }

    function _check(MirroredGeneration memory next, uint64 known) private pure {
        if (next.generation <= known || next.generation > type(uint40).max) {
            revert RemoteCommitteeGenerationNotNewer(known, next.generation);
        }
        uint256 count = next.signers.length;
        uint256 threshold = next.threshold;
        if (count > MAX_MEMBERS || threshold > count || 2 * threshold <= count) {
            revert RemoteCommitteeThresholdOutOfRange(threshold, count);
        }
        for (uint256 i = 0; i < count; ++i) {
            address signer = next.signers[i];
            if (signer == address(0)) revert RemoteCommitteeSignerInvalid(signer);
            for (uint256 j = 0; j < i; ++j) {
                if (next.signers[j] == signer) revert RemoteCommitteeSignerInvalid(signer);
            }
        }
    }
}
