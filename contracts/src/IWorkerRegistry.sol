// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEvidenceVerifier} from "./attestation/IEvidenceVerifier.sol";
import {IImageRegistry} from "./IImageRegistry.sol";

interface IWorkerRegistryTypes {
    /// @notice What a registry is for ever.
    /// @param timelock The TimelockController that governs it.
    /// @param imageRegistry Where images and network files are allowed.
    /// @param genesis Unix seconds at which epoch 0 and round 0 begin.
    /// @param epochLength Seconds, a multiple of roundLength.
    /// @param roundLength Seconds.
    /// @param maxAttestedBlockAge Blocks, 1 to 8,191. Warning: beyond 256 only where the chain has EIP-2935.
    /// @param simulatedAllowed Whether evidence of a simulated TEE is accepted.
    /// @param leaseDuration Seconds; what the first leases last. The only one that governance may change later.
    struct WorkerRegistrySettings {
        address timelock;
        IImageRegistry imageRegistry;
        uint64 genesis;
        uint32 epochLength;
        uint32 roundLength;
        uint32 maxAttestedBlockAge;
        bool simulatedAllowed;
        uint32 leaseDuration;
    }

    /// @notice Unknown: no such id. Enrolled: has an id, never registered. Active: registered; holds while its lease
    /// runs. Evicted: lost its registration for cause. Retired: left by its operator's wish.
    enum WorkerState {
        Unknown,
        Enrolled,
        Active,
        Evicted,
        Retired
    }

    /// @notice Why a worker was evicted.
    enum EvictionCause {
        ImageNotAllowed,
        ConfigNotAllowed
    }

    /// @notice All that a registration states. The registry keeps its hash, the event WorkerRegistered the rest.
    /// @param kinds Bit 0 function, 1 wasm, 2 model, 3 container.
    /// @param networkKeysHash The committee's keys that the evidence is bound to, zero before they existed.
    /// @param attestedBlock The block whose hash the evidence holds.
    /// @param leaseUntil Unix seconds.
    struct WorkerRecord {
        address operator;
        address receiptSigner;
        uint8 teeType;
        uint8 kinds;
        bool simulated;
        bytes32 imageId;
        bytes32 configId;
        bytes32 platformId;
        bytes32 evidenceHash;
        bytes32 networkKeysHash;
        uint64 attestedBlock;
        uint64 leaseUntil;
    }

    /// @param leaseUntil Unix seconds; the lease counts only while state is Active.
    struct WorkerStatus {
        address operator;
        address receiptSigner;
        uint64 leaseUntil;
        WorkerState state;
        uint8 kinds;
        uint8 teeType;
        bool simulated;
        bytes32 recordHash;
    }
}

interface IWorkerRegistryErrors {
    /// Settings
    error WorkerRegistryImageRegistryWithoutCode(address imageRegistry);
    error WorkerRegistryGenesisMissing();
    error WorkerRegistryClockInvalid(uint32 epochLength, uint32 roundLength);
    error WorkerRegistryBlockAgeOutOfRange(uint32 blocks, uint32 maximum);
    error WorkerRegistryLeaseDurationOutOfRange(uint32 duration, uint32 minimum, uint32 maximum);
    error WorkerRegistryVerifierWithoutCode(address verifier);

    /// Caller
    error WorkerRegistryWorkerUnknown(bytes32 workerId);
    error WorkerRegistryCallerNotOperator(address caller, address operator);

    /// Registration
    error WorkerRegistrySignerMissing();
    error WorkerRegistrySignerUsed(address receiptSigner, bytes32 workerId);
    error WorkerRegistrySignerEvicted(address receiptSigner, uint64 blockNumber);
    error WorkerRegistryKindsInvalid(uint8 kinds);
    error WorkerRegistryBlockTooOld(uint64 attestedBlock, uint256 oldest);
    error WorkerRegistryBlockUnknown(uint64 attestedBlock, uint256 blockNumber);
    error WorkerRegistryVerifierMissing(uint8 teeType);
    error WorkerRegistryTeeTypeMismatch(uint8 stated, uint8 verified);
    error WorkerRegistrySimulatedRefused();
    error WorkerRegistryDebugRefused();
    error WorkerRegistryBindingMismatch(bytes32 expected, bytes32 reported);
    error WorkerRegistryBlockHashMismatch(uint64 attestedBlock, bytes32 expected, bytes32 reported);
    error WorkerRegistryImageNotAllowed(bytes32 imageId);
    error WorkerRegistryConfigNotAllowed(bytes32 configId);
    error WorkerRegistryEvidenceExpired(uint64 validUntil, uint256 timestamp);

    /// Eviction, retirement
    error WorkerRegistryRecordMismatch(bytes32 workerId, bytes32 kept, bytes32 given);
    error WorkerRegistryNoLease(bytes32 workerId, IWorkerRegistryTypes.WorkerState state, uint64 leaseUntil);
    error WorkerRegistryNoCause(bytes32 workerId);
    error WorkerRegistryNotActive(bytes32 workerId, IWorkerRegistryTypes.WorkerState state);
}

interface IWorkerRegistryEvents {
    event WorkerEnrolled(bytes32 indexed workerId, address indexed operator, uint64 index);

    /// @notice A registration, a renewal or a registration anew after a restart: the record replaces any before it.
    event WorkerRegistered(
        bytes32 indexed workerId,
        address indexed operator,
        address indexed receiptSigner,
        IWorkerRegistryTypes.WorkerRecord record
    );

    event WorkerEvicted(
        bytes32 indexed workerId,
        address indexed receiptSigner,
        IWorkerRegistryTypes.EvictionCause cause,
        address evictedBy
    );

    event WorkerRetired(bytes32 indexed workerId, address indexed receiptSigner);
    event VerifierSet(uint8 indexed teeType, IEvidenceVerifier verifier);
    event LeaseDurationSet(uint32 leaseDuration);
    event NetworkKeysHashSet(bytes32 networkKeysHash);
}

/// @title IWorkerRegistry
/// @notice Who may sign receipts: workers whose evidence held, for as long as their lease runs.
/// @dev It is also the verifying contract of every EIP-712 record of the network: name "Cloister", version "1".
interface IWorkerRegistry is IWorkerRegistryTypes, IWorkerRegistryErrors, IWorkerRegistryEvents {
    /* WORKERS */

    /// @notice Gives the caller its next worker id. Anyone.
    /// @return workerId H("cloister/worker-id: v1", chainId, registry, operator, index), kept over restarts.
    function enroll() external returns (bytes32 workerId);

    /// @notice Registers a worker, renews its lease (same signer) or replaces its signer after a restart. Its operator.
    /// @param receiptSigner The enclave's key. Never one that another worker, or this one before its present key, had.
    /// @param kinds Bit 0 function, 1 wasm, 2 model, 3 container; at least one.
    /// @param attestedBlock The block whose hash stands in the second half of report_data.
    /// @param teeType 1 SGX, 2 TDX, 3 SEV-SNP, 4 Nitro.
    /// @param evidence In the form that the verifier of teeType reads; its own errors pass through.
    /// @return leaseUntil The earlier of now + leaseDuration and the end of the collateral, unix seconds.
    /// @dev Warning: a node that simulates calls on its newest block does not know that block's hash. Attest the block
    /// before it, or simulate on "pending".
    function register(
        bytes32 workerId,
        address receiptSigner,
        uint8 kinds,
        uint64 attestedBlock,
        uint8 teeType,
        bytes calldata evidence
    ) external returns (uint64 leaseUntil);

    /// @notice Ends a running lease whose image or network file is no longer allowed. Anyone.
    /// @param record As the last WorkerRegistered event of this worker has it.
    /// @dev The signer is dead for ever; the worker may register again with a new one and evidence that holds.
    /// A retired worker can be evicted until its lease would have ended: leaving is no way around it.
    function evict(bytes32 workerId, WorkerRecord calldata record) external;

    /// @notice Leaves; the signer stops being active at once. Its operator.
    /// @dev The worker may register again later.
    function retire(bytes32 workerId) external;

    /* GOVERNANCE */

    /// @notice Sets who verifies evidence of a TEE type; the zero address stops registrations of it. Timelock only.
    /// @dev Warning: running leases stay.
    function setVerifier(uint8 teeType, IEvidenceVerifier verifier) external;

    /// @notice Seconds that later leases last at most, between MIN_LEASE_DURATION and MAX_LEASE_DURATION. Timelock only.
    function setLeaseDuration(uint32 duration) external;

    /// @notice H(appsPublicKey, beaconPublicKey) that evidence must be bound to from now on. Timelock only.
    /// @dev Warning: leases bound to another value run on.
    function setNetworkKeysHash(bytes32 keysHash) external;

    /* VIEWS */

    /// @notice Whether receipts of this signer hold at present, and whose it is. Two storage reads.
    function isActiveSigner(address signer) external view returns (bool active, bytes32 workerId);

    /// @notice The worker that has, or once had, this signer; zero where none ever did.
    function workerOf(address signer) external view returns (bytes32 workerId);

    function statusOf(bytes32 workerId) external view returns (WorkerStatus memory);

    /// @notice The block in which this signer was evicted for cause, or zero.
    function evictionBlockOf(address signer) external view returns (uint64 blockNumber);

    /// @notice How many ids this operator has; the next index.
    function enrolledCount(address operator) external view returns (uint64);

    function workerIdOf(address operator, uint64 index) external view returns (bytes32 workerId);

    /// @notice The epoch of the present block's timestamp, 0 before genesis.
    function currentEpoch() external view returns (uint64);

    /// @notice The round of the present block's timestamp, 0 before genesis.
    function currentRound() external view returns (uint64);

    /// @notice The EIP-712 domain separator of the network's records.
    function domainSeparator() external view returns (bytes32);

    /// @notice The parts of that domain, as ERC-5267 has them.
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
        );

    function verifierOf(uint8 teeType) external view returns (IEvidenceVerifier);
    function leaseDuration() external view returns (uint32);
    function networkKeysHash() external view returns (bytes32);

    function imageRegistry() external view returns (IImageRegistry);
    function genesis() external view returns (uint64);
    function epochLength() external view returns (uint32);
    function roundLength() external view returns (uint32);
    function maxAttestedBlockAge() external view returns (uint32);
    function simulatedAllowed() external view returns (bool);

    function MIN_LEASE_DURATION() external view returns (uint32);
    function MAX_LEASE_DURATION() external view returns (uint32);
}
