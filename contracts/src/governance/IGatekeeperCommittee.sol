// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEvidencePolicies} from "../attestation/IEvidencePolicies.sol";
import {IImageRegistry} from "../IImageRegistry.sol";
import {IWorkerRegistry, IWorkerRegistryTypes} from "../IWorkerRegistry.sol";
import {IBond} from "./IBond.sol";
import {ICommittee} from "./ICommittee.sol";

interface IGatekeeperCommitteeTypes {
    /// @notice What a committee is for ever.
    /// @param timelock The TimelockController that governs it.
    /// @param imageRegistry Where the gatekeepers' images and network files are allowed.
    /// @param workerRegistry The network's registry: its address is the domain of what members sign.
    /// @param maxAttestedBlockAge Blocks, 1 to 8,191. Warning: beyond 256 only where the chain has EIP-2935.
    /// @param simulatedAllowed Whether evidence of a simulated TEE is accepted.
    /// @param diversityWaived Whether one vendor's members may reach the threshold: for development alone.
    struct CommitteeSettings {
        address timelock;
        IImageRegistry imageRegistry;
        IWorkerRegistry workerRegistry;
        uint32 maxAttestedBlockAge;
        bool simulatedAllowed;
        bool diversityWaived;
    }

    /// @notice What a registration states and a renewal leaves as it is. The contract keeps its hash, the event
    /// GatekeeperRegistered the rest.
    /// @param signer secp256k1 key that the enclave signs with.
    /// @param hpkeKey X25519 key that shares are sealed to.
    /// @param networkKeysHash The keys that the evidence is bound to, zero before there were any.
    /// @param endpointHash keccak256 of the URL at which others reach it.
    struct GatekeeperRecord {
        address operator;
        address signer;
        bytes32 hpkeKey;
        uint8 teeType;
        uint8 attestedBy;
        bool simulated;
        bytes32 imageId;
        bytes32 configId;
        bytes32 platformId;
        bytes32 platformKey;
        bytes32 tcb;
        bytes32 networkKeysHash;
        bytes32 endpointHash;
    }

    /// @param leaseUntil Unix seconds; zero where there is no registration, or no longer.
    struct GatekeeperStatus {
        address signer;
        uint64 leaseUntil;
        uint8 teeType;
        bool simulated;
        bool eligible;
        uint256 bond;
        bytes32 hpkeKey;
        bytes32 recordHash;
    }

    /// @notice A set of shares, as {IGatekeeperCommittee.handOver} is told of it.
    /// @param generation One more than the present one.
    /// @param threshold How many members make a signature.
    /// @param membersHash keccak256(abi.encode(operators, signers, hpkeKeys)) of the new members in their order.
    /// @param dealers Bit i: member i of the generation before dealt; for the first, of the new list.
    /// @param transcriptHash keccak256 of what the dealers said.
    /// @param publicSharesHash keccak256 of the new members' public shares, both keys' of each in order.
    /// @param appsPublicKey 48 bytes, compressed G1 of BLS12-381; as is `beaconPublicKey`. The same for ever.
    struct HandoverRecord {
        uint64 generation;
        uint8 threshold;
        bytes32 membersHash;
        uint32 dealers;
        bytes32 transcriptHash;
        bytes32 publicSharesHash;
        bytes appsPublicKey;
        bytes beaconPublicKey;
    }

    /// @param since Unix seconds of the block with its handover.
    /// @param digest What its members signed; zero before the first.
    struct GenerationStatus {
        uint64 number;
        uint64 since;
        uint8 threshold;
        bytes32 digest;
        bytes32 publicSharesHash;
    }
}

interface IGatekeeperCommitteeErrors {
    error GatekeeperCommitteeRegistryWithoutCode(address workerRegistry);
    error GatekeeperCommitteeBondWithoutCode(address bond);
    error GatekeeperCommitteeThresholdOutOfRange(uint256 threshold, uint256 members);
    error GatekeeperCommitteeFull(uint256 maximum);
    error GatekeeperCommitteeEligibilityUnchanged(address operator, bool eligible);

    /// Registration
    error GatekeeperCommitteeNotEligible(address operator);
    error GatekeeperCommitteeBondTooSmall(address operator, uint256 bond, uint256 minimum);
    error GatekeeperCommitteeSignerMissing();
    error GatekeeperCommitteeHpkeKeyMissing();
    error GatekeeperCommitteeSignerUsed(address signer, address operator);
    error GatekeeperCommitteeSignerEvicted(address signer);
    error GatekeeperCommitteeEndpointLength(uint256 length, uint256 maximum);
    error GatekeeperCommitteeNotRegistered(address operator);
    error GatekeeperCommitteeRecordMismatch(address operator, bytes32 kept, bytes32 given);
    error GatekeeperCommitteeNoCause(address operator);

    /// Handover
    error GatekeeperCommitteeGenerationMismatch(uint64 expected, uint64 given);
    error GatekeeperCommitteeThresholdMismatch(uint8 expected, uint8 given);
    error GatekeeperCommitteeMembersMismatch(bytes32 expected, bytes32 given);
    error GatekeeperCommitteeVendorTooStrong(uint8 vendor, uint256 members, uint8 threshold);
    error GatekeeperCommitteeDealersInvalid(uint32 dealers, uint256 members, uint256 needed);
    error GatekeeperCommitteeKeyInvalid(bytes publicKey);
    error GatekeeperCommitteeKeysChanged(bytes32 expected, bytes32 given);
    error GatekeeperCommitteeNotSignedByMembers(bytes32 digest);
    error GatekeeperCommitteeNotSignedByHolders(bytes32 digest);
}

interface IGatekeeperCommitteeEvents {
    event EligibilitySet(address indexed operator, bool eligible);
    event ThresholdSet(uint8 threshold);
    event BondRuleSet(IBond bond, uint256 minimum);

    /// @notice A registration, or one anew with another enclave or other facts: the record replaces any before it.
    event GatekeeperRegistered(
        address indexed operator,
        address indexed signer,
        IGatekeeperCommitteeTypes.GatekeeperRecord record,
        string endpoint,
        uint64 leaseUntil,
        uint64 attestedBlock,
        bytes32 evidenceHash
    );

    event GatekeeperRenewed(
        address indexed operator,
        uint64 leaseUntil,
        uint64 attestedBlock,
        bytes32 evidenceHash
    );
    event GatekeeperRetired(address indexed operator);
    event GatekeeperEvicted(
        address indexed operator,
        address indexed signer,
        IWorkerRegistryTypes.EvictionCause cause,
        address evictedBy
    );

    event HandedOver(
        uint64 indexed generation,
        uint8 threshold,
        address[] operators,
        address[] signers,
        bytes32[] hpkeKeys,
        uint32 dealers,
        bytes32 transcriptHash,
        bytes32 publicSharesHash,
        bytes32 digest
    );

    /// @notice Once: the network's keys, and a hash over the founders' evidence and what they said while making them.
    event KeysMade(bytes appsPublicKey, bytes beaconPublicKey, bytes32 networkKeysHash, bytes32 foundingHash);
}

/// @title IGatekeeperCommittee
/// @notice The network's committee: attested enclaves that hold its keys as shares. Any threshold of them stands behind
/// a digest, or they do not.
/// @dev A proof of {ICommittee.verify}: which members signed as a bitmap of 4 bytes (bit i: member i), then their
/// signatures in that order, 65 bytes each (r, s, v; low s): exactly as many as the threshold.
interface IGatekeeperCommittee is
    ICommittee,
    IEvidencePolicies,
    IGatekeeperCommitteeTypes,
    IGatekeeperCommitteeErrors,
    IGatekeeperCommitteeEvents
{
    /* MEMBERS */

    /// @notice Registers the caller's gatekeeper, renews its lease (same enclave) or replaces its enclave after a restart.
    /// @dev The second half of report_data holds the hash of `attestedBlock`, the first
    /// H("cloister/gatekeeper: v1", chainId, this, operator, keccak256(abi.encode(signer, hpkeKey)), networkKeysHash).
    function register(
        address signer,
        bytes32 hpkeKey,
        string calldata endpoint,
        uint64 attestedBlock,
        uint8 teeType,
        bytes calldata evidence
    ) external returns (uint64 leaseUntil);

    /// @notice Leaves: the caller is out of the next generation.
    function retire() external;

    /// @notice Ends a registration whose image or network file is no longer allowed, or whose TCB is no longer accepted.
    /// Anyone. It is out of the next generation; its share counts until then.
    function evict(address operator, GatekeeperRecord calldata record) external;

    /// @notice Takes up a new generation of shares. Anyone, with the members' signatures.
    /// @param previousProof Of the present members (form of {verify}); empty for the first generation.
    /// @param heldProof Of the new members in their order: that they hold their shares.
    function handOver(
        HandoverRecord calldata record,
        bytes calldata previousProof,
        bytes calldata heldProof
    ) external;

    /* GOVERNANCE */

    /// @notice Who may be a gatekeeper. Timelock only.
    function setEligible(address operator, bool eligible) external;

    /// @notice The threshold of the next generations. Timelock only.
    function setThreshold(uint8 threshold) external;

    /// @notice What a member must have at stake. Timelock only.
    function setBondRule(IBond bond, uint256 minimum) external;

    /* VIEWS */

    function generation() external view returns (GenerationStatus memory);

    /// @notice The members that hold shares, in the order of their indices (which count from 1).
    function members()
        external
        view
        returns (address[] memory operators, address[] memory signers, bytes32[] memory hpkeKeys);

    /// @notice Who would be members if a handover came now, and how many may be: eligible, registered, leased, bonded.
    function nextMembers()
        external
        view
        returns (
            address[] memory operators,
            address[] memory signers,
            bytes32[] memory hpkeKeys,
            uint8 threshold,
            uint256 eligibleCount
        );

    function statusOf(address operator) external view returns (GatekeeperStatus memory);

    /// @notice H(appsPublicKey, beaconPublicKey), zero before there are any.
    function networkKeysHash() external view returns (bytes32);
    function appsPublicKey() external view returns (bytes memory);
    function beaconPublicKey() external view returns (bytes memory);

    /// @notice keccak256(abi.encode(transcriptHash, evidenceHashes)) of the founders in their order.
    function foundingHash() external view returns (bytes32);

    /// @notice The operator that has, or once had, this signer; zero where none ever did.
    function operatorOf(address signer) external view returns (address);
    function eligibleOperators() external view returns (address[] memory);
    function nextThreshold() external view returns (uint8);
    function bond() external view returns (IBond);
    function minimumBond() external view returns (uint256);
    function workerRegistry() external view returns (IWorkerRegistry);
    function diversityWaived() external view returns (bool);
    function MAX_MEMBERS() external view returns (uint256);
}
