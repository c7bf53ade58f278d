// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidenceClaims, IEvidenceVerifier} from "./attestation/IEvidenceVerifier.sol";
import {Governed} from "./governance/Governed.sol";
import {IImageRegistry} from "./IImageRegistry.sol";
import {IWorkerRegistry} from "./IWorkerRegistry.sol";
import {BlockHashes} from "./libraries/BlockHashes.sol";
import {Ids} from "./libraries/Ids.sol";
import {ReceiptLib} from "./receipts/ReceiptLib.sol";

/// @title WorkerRegistry
contract WorkerRegistry is IWorkerRegistry, Governed {
    struct Worker {
        // ### 1st slot: all that a receipt's check needs
        address receiptSigner;
        uint40 leaseUntil;
        WorkerState state;
        uint8 kinds;
        uint8 teeType;
        bool simulated;
        // ### 2nd slot
        bytes32 recordHash;
        // ### 3rd slot: written once
        address operator;
        uint64 index;
    }

    uint32 public constant MIN_LEASE_DURATION = 1 minutes;
    uint32 public constant MAX_LEASE_DURATION = 30 days;

    uint8 private constant ALL_KINDS = 0x0f;

    /// @inheritdoc IWorkerRegistry
    IImageRegistry public immutable imageRegistry;
    uint64 public immutable genesis;
    uint32 public immutable epochLength;
    uint32 public immutable roundLength;
    uint32 public immutable maxAttestedBlockAge;
    bool public immutable simulatedAllowed;

    /// @inheritdoc IWorkerRegistry
    bytes32 public networkKeysHash;

    /// @inheritdoc IWorkerRegistry
    uint32 public leaseDuration;

    mapping(uint8 teeType => IEvidenceVerifier) public verifierOf;

    /// @inheritdoc IWorkerRegistry
    mapping(address signer => bytes32 workerId) public workerOf;

    /// @inheritdoc IWorkerRegistry
    mapping(address signer => uint64 blockNumber) public evictionBlockOf;

    /// @inheritdoc IWorkerRegistry
    mapping(address operator => uint64) public enrolledCount;

    mapping(bytes32 workerId => Worker) private _workers;

    constructor(WorkerRegistrySettings memory settings) Governed(settings.timelock) {
        if (address(settings.imageRegistry).code.length == 0) {
            revert WorkerRegistryImageRegistryWithoutCode(address(settings.imageRegistry));
        }
        if (settings.genesis == 0) revert WorkerRegistryGenesisMissing();
        if (settings.roundLength == 0 || settings.epochLength == 0 || settings.epochLength % settings.roundLength != 0)
        {
            revert WorkerRegistryClockInvalid(settings.epochLength, settings.roundLength);
        }
        if (settings.maxAttestedBlockAge == 0 || settings.maxAttestedBlockAge > BlockHashes.HISTORY_WINDOW) {
            revert WorkerRegistryBlockAgeOutOfRange(settings.maxAttestedBlockAge, uint32(BlockHashes.HISTORY_WINDOW));
        }
        imageRegistry = settings.imageRegistry;
        genesis = settings.genesis;
        epochLength = settings.epochLength;
        roundLength = settings.roundLength;
        maxAttestedBlockAge = settings.maxAttestedBlockAge;
        simulatedAllowed = settings.simulatedAllowed;
        _setLeaseDuration(settings.leaseDuration);
    }

    /* WORKERS */

    /// @inheritdoc IWorkerRegistry
    function enroll() external returns (bytes32 workerId) {
        uint64 index = enrolledCount[msg.sender]++;
        workerId = workerIdOf(msg.sender, index);
        Worker storage worker = _workers[workerId];
        worker.state = WorkerState.Enrolled;
        worker.operator = msg.sender;
        worker.index = index;
        emit WorkerEnrolled(workerId, msg.sender, index);
    }

    /// @inheritdoc IWorkerRegistry
    function register(
        bytes32 workerId,
        address receiptSigner,
        uint8 kinds,
        uint64 attestedBlock,
        uint8 teeType,
        bytes calldata evidence
    ) external returns (uint64 leaseUntil) {
        Worker storage worker = _workers[workerId];
        _checkOperator(workerId, worker.operator);
        if (kinds == 0 || kinds > ALL_KINDS) revert WorkerRegistryKindsInvalid(kinds);
        _claimSigner(workerId, worker, receiptSigner);

        WorkerRecord memory record;
        record.operator = msg.sender;
        record.receiptSigner = receiptSigner;
        record.teeType = teeType;
        record.kinds = kinds;
        record.attestedBlock = attestedBlock;
        _appraise(record, evidence);

        leaseUntil = record.leaseUntil;
        worker.receiptSigner = receiptSigner;
        // No truncation: at most now + MAX_LEASE_DURATION.
        worker.leaseUntil = uint40(leaseUntil);
        worker.state = WorkerState.Active;
        worker.kinds = kinds;
        worker.teeType = teeType;
        worker.simulated = record.simulated;
        worker.recordHash = keccak256(abi.encode(record));
        emit WorkerRegistered(workerId, msg.sender, receiptSigner, record);
    }

    /// @inheritdoc IWorkerRegistry
    function evict(bytes32 workerId, WorkerRecord calldata record) external {
        Worker storage worker = _workers[workerId];
        WorkerState state = worker.state;
        uint64 leaseUntil = worker.leaseUntil;
        if ((state != WorkerState.Active && state != WorkerState.Retired) || leaseUntil <= block.timestamp) {
            revert WorkerRegistryNoLease(workerId, state, leaseUntil);
        }
        bytes32 given = keccak256(abi.encode(record));
        if (given != worker.recordHash) revert WorkerRegistryRecordMismatch(workerId, worker.recordHash, given);

        EvictionCause cause;
        if (!imageRegistry.isImageAllowed(record.imageId)) cause = EvictionCause.ImageNotAllowed;
        else if (!imageRegistry.isConfigAllowed(record.configId)) cause = EvictionCause.ConfigNotAllowed;
        else revert WorkerRegistryNoCause(workerId);

        worker.state = WorkerState.Evicted;
        evictionBlockOf[record.receiptSigner] = uint64(block.number);
        emit WorkerEvicted(workerId, record.receiptSigner, cause, msg.sender);
    }

    /// @inheritdoc IWorkerRegistry
    function retire(bytes32 workerId) external {
        Worker storage worker = _workers[workerId];
        _checkOperator(workerId, worker.operator);
        if (worker.state != WorkerState.Active) revert WorkerRegistryNotActive(workerId, worker.state);
        worker.state = WorkerState.Retired;
        emit WorkerRetired(workerId, worker.receiptSigner);
    }

    /* GOVERNANCE */

    /// @inheritdoc IWorkerRegistry
    function setVerifier(uint8 teeType, IEvidenceVerifier verifier) external onlyTimelock {
        if (address(verifier) != address(0) && address(verifier).code.length == 0) {
            revert WorkerRegistryVerifierWithoutCode(address(verifier));
        }
        verifierOf[teeType] = verifier;
        emit VerifierSet(teeType, verifier);
    }

    /// @inheritdoc IWorkerRegistry
    function setLeaseDuration(uint32 duration) external onlyTimelock {
        _setLeaseDuration(duration);
    }

    /// @inheritdoc IWorkerRegistry
    function setNetworkKeysHash(bytes32 keysHash) external onlyTimelock {
        networkKeysHash = keysHash;
        emit NetworkKeysHashSet(keysHash);
    }

    /* VIEWS */

    /// @inheritdoc IWorkerRegistry
    function isActiveSigner(address signer) external view returns (bool active, bytes32 workerId) {
        workerId = workerOf[signer];
        Worker storage worker = _workers[workerId];
        // A signer nobody ever had leads to worker 0, whose state is Unknown for ever.
        active = worker.receiptSigner == signer && worker.state == WorkerState.Active
            && worker.leaseUntil > block.timestamp;
    }

    /// @inheritdoc IWorkerRegistry
    function statusOf(bytes32 workerId) external view returns (WorkerStatus memory) {
        Worker storage worker = _workers[workerId];
        return WorkerStatus({
            operator: worker.operator,
            receiptSigner: worker.receiptSigner,
            leaseUntil: worker.leaseUntil,
            state: worker.state,
            kinds: worker.kinds,
            teeType: worker.teeType,
            simulated: worker.simulated,
            recordHash: worker.recordHash
        });
    }

    /// @inheritdoc IWorkerRegistry
    function workerIdOf(address operator, uint64 index) public view returns (bytes32 workerId) {
        return Ids.workerId(block.chainid, address(this), operator, index);
    }

    /// @inheritdoc IWorkerRegistry
    function currentEpoch() external view returns (uint64) {
        return _ticks(epochLength);
    }

    /// @inheritdoc IWorkerRegistry
    function currentRound() external view returns (uint64) {
        return _ticks(roundLength);
    }

    /// @inheritdoc IWorkerRegistry
    function domainSeparator() external view returns (bytes32) {
        return ReceiptLib.domainSeparator(block.chainid, address(this));
    }

    /// @inheritdoc IWorkerRegistry
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (
            hex"0f",
            ReceiptLib.DOMAIN_NAME,
            ReceiptLib.DOMAIN_VERSION,
            block.chainid,
            address(this),
            bytes32(0),
            new uint256[](0)
        );
    }

    /* CHECKS */

    function _checkOperator(bytes32 workerId, address operator) private view {
        if (operator == address(0)) revert WorkerRegistryWorkerUnknown(workerId);
        if (msg.sender != operator) revert WorkerRegistryCallerNotOperator(msg.sender, operator);
    }

    /// @dev A signer belongs to one worker for ever, and to it only until the next one replaces it: its sequences
    /// could repeat otherwise.
    function _claimSigner(bytes32 workerId, Worker storage worker, address receiptSigner) private {
        if (receiptSigner == address(0)) revert WorkerRegistrySignerMissing();
        bytes32 owner = workerOf[receiptSigner];
        if (owner == 0) {
            workerOf[receiptSigner] = workerId;
            return;
        }
        if (owner != workerId || worker.receiptSigner != receiptSigner) {
            revert WorkerRegistrySignerUsed(receiptSigner, owner);
        }
        if (worker.state == WorkerState.Evicted) {
            revert WorkerRegistrySignerEvicted(receiptSigner, evictionBlockOf[receiptSigner]);
        }
    }

    /// @dev Verifies the evidence, then holds its claims against the record and the network's policy, and completes
    /// the record by them. The order: what is cheap to refuse, genuineness, binding, freshness, policy.
    function _appraise(WorkerRecord memory record, bytes calldata evidence) private view {
        bytes32 attestedHash = _hashOf(record.attestedBlock);

        IEvidenceVerifier verifier = verifierOf[record.teeType];
        if (address(verifier) == address(0)) revert WorkerRegistryVerifierMissing(record.teeType);
        EvidenceClaims memory claims = verifier.verify(evidence);
        if (claims.teeType != record.teeType) revert WorkerRegistryTeeTypeMismatch(record.teeType, claims.teeType);

        bytes32 keysHash = networkKeysHash;
        bytes32 binding =
            Ids.workerBinding(block.chainid, address(this), record.operator, record.receiptSigner, keysHash);
        if (claims.reportDataHead != binding) revert WorkerRegistryBindingMismatch(binding, claims.reportDataHead);
        if (claims.reportDataTail != attestedHash) {
            revert WorkerRegistryBlockHashMismatch(record.attestedBlock, attestedHash, claims.reportDataTail);
        }

        if (claims.debug) revert WorkerRegistryDebugRefused();
        if (claims.simulated && !simulatedAllowed) revert WorkerRegistrySimulatedRefused();
        if (!imageRegistry.isImageAllowed(claims.imageId)) revert WorkerRegistryImageNotAllowed(claims.imageId);
        if (!imageRegistry.isConfigAllowed(claims.configId)) revert WorkerRegistryConfigNotAllowed(claims.configId);
        if (claims.validUntil <= block.timestamp) {
            revert WorkerRegistryEvidenceExpired(claims.validUntil, block.timestamp);
        }

        uint256 policyEnd = block.timestamp + leaseDuration;
        record.leaseUntil = claims.validUntil < policyEnd ? claims.validUntil : uint64(policyEnd);
        record.simulated = claims.simulated;
        record.imageId = claims.imageId;
        record.configId = claims.configId;
        record.platformId = claims.platformId;
        record.evidenceHash = claims.evidenceHash;
        record.networkKeysHash = keysHash;
    }

    function _hashOf(uint64 attestedBlock) private view returns (bytes32 attestedHash) {
        uint256 oldest = block.number > maxAttestedBlockAge ? block.number - maxAttestedBlockAge : 0;
        if (attestedBlock < oldest) revert WorkerRegistryBlockTooOld(attestedBlock, oldest);
        attestedHash = BlockHashes.tryGet(attestedBlock);
        if (attestedHash == 0) revert WorkerRegistryBlockUnknown(attestedBlock, block.number);
    }

    function _ticks(uint32 length) private view returns (uint64) {
        return block.timestamp <= genesis ? 0 : uint64((block.timestamp - genesis) / length);
    }

    function _setLeaseDuration(uint32 duration) private {
        if (duration < MIN_LEASE_DURATION || duration > MAX_LEASE_DURATION) {
            revert WorkerRegistryLeaseDurationOutOfRange(duration, MIN_LEASE_DURATION, MAX_LEASE_DURATION);
        }
        leaseDuration = duration;
        emit LeaseDurationSet(duration);
    }
}
