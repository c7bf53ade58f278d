// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidencePolicies} from "../attestation/EvidencePolicies.sol";
import {EvidenceClaims} from "../attestation/IEvidenceVerifier.sol";
import {IWorkerRegistry, IWorkerRegistryTypes} from "../IWorkerRegistry.sol";
import {CodeBlob} from "../libraries/CodeBlob.sol";
import {CommitteeProof} from "../libraries/CommitteeProof.sol";
import {Ids} from "../libraries/Ids.sol";
import {ReceiptLib} from "../receipts/ReceiptLib.sol";
import {Governed} from "./Governed.sol";
import {IBond} from "./IBond.sol";
import {ICommittee} from "./ICommittee.sol";
import {IGatekeeperCommittee} from "./IGatekeeperCommittee.sol";

/// @title GatekeeperCommittee
contract GatekeeperCommittee is IGatekeeperCommittee, EvidencePolicies {
    struct Gatekeeper {
        // ### 1st slot
        address signer;
        uint40 leaseUntil;
        uint8 teeType;
        bool simulated;
        bool evicted;
        // ### 2nd slot
        bytes32 hpkeKey;
        // ### 3rd slot
        bytes32 recordHash;
        // ### 4th slot, written before there are keys: what the founding rests on
        bytes32 evidenceHash;
    }

    struct Current {
        // ### 1st slot
        address roll;
        uint40 number;
        uint40 since;
        uint8 threshold;
        // ### 2nd slot
        bytes32 digest;
        // ### 3rd slot
        bytes32 publicSharesHash;
    }

    /// @dev Members in their order.
    struct Roll {
        address[] operators;
        address[] signers;
        bytes32[] hpkeKeys;
    }

    bytes32 private constant HANDOVER_TYPEHASH = keccak256(
        "Handover(uint64 generation,uint8 threshold,bytes32 membersHash,uint32 dealers,bytes32 transcriptHash,bytes32 publicSharesHash,bytes32 networkKeysHash)"
    );
    uint256 public constant MAX_MEMBERS = 32;
    uint256 private constant MAX_ENDPOINT_LENGTH = 256;
    uint256 private constant PUBLIC_KEY_LENGTH = 48;

    /// @inheritdoc IGatekeeperCommittee
    IWorkerRegistry public immutable workerRegistry;

    /// @inheritdoc IGatekeeperCommittee
    bool public immutable diversityWaived;

    bytes32 private immutable _domainSeparator;

    /// @inheritdoc IGatekeeperCommittee
    IBond public bond;

    /// @inheritdoc IGatekeeperCommittee
    uint8 public nextThreshold;

    /// @inheritdoc IGatekeeperCommittee
    uint256 public minimumBond;

    /// @inheritdoc IGatekeeperCommittee
    bytes32 public networkKeysHash;

    /// @inheritdoc IGatekeeperCommittee
    bytes32 public foundingHash;

    /// @inheritdoc IGatekeeperCommittee
    bytes public appsPublicKey;

    /// @inheritdoc IGatekeeperCommittee
    bytes public beaconPublicKey;

    /// @inheritdoc IGatekeeperCommittee
    mapping(address signer => address operator) public operatorOf;

    /// @dev Ascending.
    address[] private _eligible;
    mapping(address operator => Gatekeeper) private _gatekeepers;
    Current private _current;

    constructor(CommitteeSettings memory settings)
        Governed(settings.timelock)
        EvidencePolicies(settings.imageRegistry, settings.maxAttestedBlockAge, settings.simulatedAllowed)
    {
        if (address(settings.workerRegistry).code.length == 0) {
            revert GatekeeperCommitteeRegistryWithoutCode(address(settings.workerRegistry));
        }
        workerRegistry = settings.workerRegistry;
        diversityWaived = settings.diversityWaived;
        _domainSeparator = ReceiptLib.domainSeparator(block.chainid, address(settings.workerRegistry));
    }

    /* MEMBERS */

    /// @inheritdoc IGatekeeperCommittee
    function register(
        address signer,
        bytes32 hpkeKey,
        string calldata endpoint,
        uint64 attestedBlock,
        uint8 teeType,
        bytes calldata evidence
    ) external returns (uint64 leaseUntil) {
        _checkMayJoin(endpoint);
        if (hpkeKey == 0) revert GatekeeperCommitteeHpkeKeyMissing();
        _claimSigner(signer);

        GatekeeperRecord memory record;
        record.operator = msg.sender;
        record.signer = signer;
        record.hpkeKey = hpkeKey;
        record.teeType = teeType;
        record.endpointHash = keccak256(bytes(endpoint));
        bytes32 evidenceHash;
        (leaseUntil, evidenceHash) = _appraiseRecord(record, attestedBlock, evidence);
        if (_keep(record, leaseUntil, evidenceHash)) {
            emit GatekeeperRenewed(msg.sender, leaseUntil, attestedBlock, evidenceHash);
        } else {
            emit GatekeeperRegistered(msg.sender, signer, record, endpoint, leaseUntil, attestedBlock, evidenceHash);
        }
    }

    /// @inheritdoc IGatekeeperCommittee
    function retire() external {
        Gatekeeper storage gatekeeper = _gatekeepers[msg.sender];
        if (gatekeeper.leaseUntil <= block.timestamp) revert GatekeeperCommitteeNotRegistered(msg.sender);
        gatekeeper.leaseUntil = 0;
        emit GatekeeperRetired(msg.sender);
    }

    /// @inheritdoc IGatekeeperCommittee
    function evict(address operator, GatekeeperRecord calldata record) external {
        Gatekeeper storage gatekeeper = _gatekeepers[operator];
        if (gatekeeper.leaseUntil <= block.timestamp) revert GatekeeperCommitteeNotRegistered(operator);
        bytes32 given = keccak256(abi.encode(record));
        if (given != gatekeeper.recordHash) {
            revert GatekeeperCommitteeRecordMismatch(operator, gatekeeper.recordHash, given);
        }
        (bool found, IWorkerRegistryTypes.EvictionCause cause) =
            _causeAgainst(
                record.teeType,
                record.imageId,
                record.configId,
                record.platformId,
                record.platformKey,
                record.tcb
            );
        if (!found) revert GatekeeperCommitteeNoCause(operator);
        gatekeeper.leaseUntil = 0;
        gatekeeper.evicted = true;
        emit GatekeeperEvicted(operator, record.signer, cause, msg.sender);
    }

    /// @inheritdoc IGatekeeperCommittee
    function handOver(
        HandoverRecord calldata record,
        bytes calldata previousProof,
        bytes calldata heldProof
    ) external {
        if (record.generation != _current.number + 1) {
            revert GatekeeperCommitteeGenerationMismatch(_current.number + 1, record.generation);
        }
        Roll memory roll = _nextRoll();
        _checkMembers(record, roll);
        bytes32 keysHash = _checkKeys(record);
        bytes32 digest = _digestOf(record, keysHash);
        if (_current.number == 0) {
            _checkDealers(record.dealers, roll.operators.length, record.threshold);
            _found(record, roll.operators, keysHash);
        } else {
            _checkPrevious(record.dealers, digest, previousProof);
        }
        _takeUp(record, roll, digest, heldProof);
    }

    /* GOVERNANCE */

    /// @inheritdoc IGatekeeperCommittee
    function setEligible(address operator, bool eligible) external onlyTimelock {
        if (_isEligible(operator) == eligible) revert GatekeeperCommitteeEligibilityUnchanged(operator, eligible);
        uint256 length = _eligible.length;
        if (eligible) {
            if (length == MAX_MEMBERS) revert GatekeeperCommitteeFull(MAX_MEMBERS);
            _eligible.push(operator);
            for (uint256 i = length; i > 0 && _eligible[i - 1] > operator; --i) {
                (_eligible[i - 1], _eligible[i]) = (operator, _eligible[i - 1]);
            }
        } else {
            uint256 place;
            while (_eligible[place] != operator) ++place;
            for (; place + 1 < length; ++place) _eligible[place] = _eligible[place + 1];
            _eligible.pop();
        }
        emit EligibilitySet(operator, eligible);
    }

    /// @inheritdoc IGatekeeperCommittee
    function setThreshold(uint8 threshold) external onlyTimelock {
        if (threshold == 0 || threshold > MAX_MEMBERS) {
            revert GatekeeperCommitteeThresholdOutOfRange(threshold, MAX_MEMBERS);
        }
        nextThreshold = threshold;
        emit ThresholdSet(threshold);
    }

    /// @inheritdoc IGatekeeperCommittee
    function setBondRule(IBond bond_, uint256 minimum) external onlyTimelock {
        if (address(bond_).code.length == 0) revert GatekeeperCommitteeBondWithoutCode(address(bond_));
        bond = bond_;
        minimumBond = minimum;
        emit BondRuleSet(bond_, minimum);
    }

    /* VIEWS */

    /// @inheritdoc ICommittee
    function verify(bytes32 digest, bytes calldata proof) external view returns (bool) {
        address roll = _current.roll;
        uint8 threshold = _current.threshold;
        return threshold != 0 && CommitteeProof.holds(digest, proof, CodeBlob.read(roll), threshold);
    }

    /// @inheritdoc IGatekeeperCommittee
    function generation() external view returns (GenerationStatus memory) {
        Current memory current = _current;
        return GenerationStatus({
            number: current.number,
            since: current.since,
            threshold: current.threshold,
            digest: current.digest,
            publicSharesHash: current.publicSharesHash
        });
    }

    /// @inheritdoc IGatekeeperCommittee
    function members()
        external
        view
        returns (address[] memory operators, address[] memory signers, bytes32[] memory hpkeKeys)
    {
        bytes memory roll = CodeBlob.read(_current.roll);
        uint256 count = roll.length / 96;
        operators = new address[](count);
        signers = new address[](count);
        hpkeKeys = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            signers[i] = address(uint160(uint256(CommitteeProof.wordAt(roll, i))));
            operators[i] = address(uint160(uint256(CommitteeProof.wordAt(roll, count + i))));
            hpkeKeys[i] = CommitteeProof.wordAt(roll, 2 * count + i);
        }
    }

    /// @inheritdoc IGatekeeperCommittee
    function nextMembers()
        external
        view
        returns (
            address[] memory operators,
            address[] memory signers,
            bytes32[] memory hpkeKeys,
            uint8 threshold,
            uint256 eligibleCount
        )
    {
        Roll memory roll = _nextRoll();
        return (roll.operators, roll.signers, roll.hpkeKeys, nextThreshold, _eligible.length);
    }

    /// @inheritdoc IGatekeeperCommittee
    function statusOf(address operator) external view returns (GatekeeperStatus memory) {
        Gatekeeper storage gatekeeper = _gatekeepers[operator];
        return GatekeeperStatus({
            signer: gatekeeper.signer,
            leaseUntil: gatekeeper.leaseUntil,
            teeType: gatekeeper.teeType,
            simulated: gatekeeper.simulated,
            eligible: _isEligible(operator),
            bond: _bondOf(operator),
            hpkeKey: gatekeeper.hpkeKey,
            recordHash: gatekeeper.recordHash
        });
    }

    /// @inheritdoc IGatekeeperCommittee
    function eligibleOperators() external view returns (address[] memory) {
        return _eligible;
    }

    /* CHECKS */

    function _checkMayJoin(string calldata endpoint) private view {
        if (!_isEligible(msg.sender)) revert GatekeeperCommitteeNotEligible(msg.sender);
        uint256 atStake = _bondOf(msg.sender);
        if (atStake < minimumBond) revert GatekeeperCommitteeBondTooSmall(msg.sender, atStake, minimumBond);
        uint256 length = bytes(endpoint).length;
        if (length == 0 || length > MAX_ENDPOINT_LENGTH) {
            revert GatekeeperCommitteeEndpointLength(length, MAX_ENDPOINT_LENGTH);
        }
    }

    /// @dev Completes the record by what the evidence says.
    function _appraiseRecord(
        GatekeeperRecord memory record,
        uint64 attestedBlock,
        bytes calldata evidence
    ) private returns (uint64 leaseUntil, bytes32 evidenceHash) {
        record.networkKeysHash = networkKeysHash;
        bytes32 binding = Ids.gatekeeperBinding(
            block.chainid, address(this), record.operator, record.signer, record.hpkeKey, record.networkKeysHash
        );
        EvidenceClaims memory claims;
        (claims, leaseUntil) = _appraise(record.teeType, binding, attestedBlock, evidence);
        record.attestedBy = claims.attestedBy;
        record.simulated = claims.simulated;
        record.imageId = claims.imageId;
        record.configId = claims.configId;
        record.platformId = claims.platformId;
        record.platformKey = claims.platformKey;
        record.tcb = claims.tcb;
        evidenceHash = claims.evidenceHash;
    }

    function _isEligible(address operator) private view returns (bool) {
        uint256 length = _eligible.length;
        for (uint256 i = 0; i < length; ++i) {
            if (_eligible[i] == operator) return true;
        }
        return false;
    }

    /// @dev Nothing is at stake where no contract says what is.
    function _bondOf(address operator) private view returns (uint256) {
        return address(bond) == address(0) ? 0 : bond.bondOf(operator);
    }

    /// @dev A signer belongs to one operator for ever, and never returns once another one or an eviction replaced it.
    function _claimSigner(address signer) private {
        if (signer == address(0)) revert GatekeeperCommitteeSignerMissing();
        Gatekeeper storage gatekeeper = _gatekeepers[msg.sender];
        if (gatekeeper.signer == signer) {
            if (gatekeeper.evicted) revert GatekeeperCommitteeSignerEvicted(signer);
            return;
        }
        address owner = operatorOf[signer];
        if (owner != address(0)) revert GatekeeperCommitteeSignerUsed(signer, owner);
        operatorOf[signer] = msg.sender;
    }

    /// @return renewed Whether nothing but the lease has changed.
    function _keep(
        GatekeeperRecord memory record,
        uint64 leaseUntil,
        bytes32 evidenceHash
    ) private returns (bool renewed) {
        Gatekeeper storage gatekeeper = _gatekeepers[record.operator];
        bytes32 recordHash = keccak256(abi.encode(record));
        renewed = gatekeeper.recordHash == recordHash && gatekeeper.leaseUntil > block.timestamp;
        gatekeeper.signer = record.signer;
        // No truncation: at most now + 30 days.
        gatekeeper.leaseUntil = uint40(leaseUntil);
        gatekeeper.teeType = record.teeType;
        gatekeeper.simulated = record.simulated;
        gatekeeper.evicted = false;
        if (!renewed) {
            gatekeeper.hpkeKey = record.hpkeKey;
            gatekeeper.recordHash = recordHash;
        }
        if (_current.number == 0) gatekeeper.evidenceHash = evidenceHash;
    }

    function _nextRoll() private view returns (Roll memory roll) {
        uint256 length = _eligible.length;
        roll = Roll(new address[](length), new address[](length), new bytes32[](length));
        uint256 count;
        for (uint256 i = 0; i < length; ++i) {
            address operator = _eligible[i];
            Gatekeeper storage gatekeeper = _gatekeepers[operator];
            if (gatekeeper.leaseUntil <= block.timestamp || _bondOf(operator) < minimumBond) continue;
            roll.operators[count] = operator;
            roll.signers[count] = gatekeeper.signer;
            roll.hpkeKeys[count] = gatekeeper.hpkeKey;
            ++count;
        }
        (address[] memory operators, address[] memory signers, bytes32[] memory hpkeKeys) =
            (roll.operators, roll.signers, roll.hpkeKeys);
        assembly ("memory-safe") {
            mstore(operators, count)
            mstore(signers, count)
            mstore(hpkeKeys, count)
        }
    }

    function _digestOf(HandoverRecord calldata record, bytes32 keysHash) private view returns (bytes32) {
        return ReceiptLib.toDigest(
            _domainSeparator,
            keccak256(
                abi.encode(
                    HANDOVER_TYPEHASH,
                    record.generation,
                    record.threshold,
                    record.membersHash,
                    record.dealers,
                    record.transcriptHash,
                    record.publicSharesHash,
                    keysHash
                )
            )
        );
    }

    function _checkPrevious(uint32 dealers, bytes32 digest, bytes calldata previousProof) private view {
        bytes memory words = CodeBlob.read(_current.roll);
        _checkDealers(dealers, CommitteeProof.count(words), _current.threshold);
        if (!CommitteeProof.holds(digest, previousProof, words, _current.threshold)) {
            revert GatekeeperCommitteeNotSignedByMembers(digest);
        }
    }

    function _takeUp(
        HandoverRecord calldata record,
        Roll memory roll,
        bytes32 digest,
        bytes calldata heldProof
    ) private {
        // Signers first, each a padded word: what {verify} reads is found without parsing. Operators and keys follow.
        bytes memory words = abi.encodePacked(roll.signers, roll.operators, roll.hpkeKeys);
        if (!CommitteeProof.holds(digest, heldProof, words, record.threshold)) {
            revert GatekeeperCommitteeNotSignedByHolders(digest);
        }
        _current = Current({
            roll: CodeBlob.write(words),
            number: uint40(record.generation),
            since: uint40(block.timestamp),
            threshold: record.threshold,
            digest: digest,
            publicSharesHash: record.publicSharesHash
        });
        emit HandedOver(
            record.generation,
            record.threshold,
            roll.operators,
            roll.signers,
            roll.hpkeKeys,
            record.dealers,
            record.transcriptHash,
            record.publicSharesHash,
            digest
        );
    }

    function _checkMembers(HandoverRecord calldata record, Roll memory roll) private view {
        uint8 threshold = record.threshold;
        if (threshold != nextThreshold) revert GatekeeperCommitteeThresholdMismatch(nextThreshold, threshold);
        uint256 count = roll.operators.length;
        if (threshold == 0 || threshold > count || 2 * uint256(threshold) <= count) {
            revert GatekeeperCommitteeThresholdOutOfRange(threshold, count);
        }
        bytes32 membersHash = keccak256(abi.encode(roll.operators, roll.signers, roll.hpkeKeys));
        if (record.membersHash != membersHash) {
            revert GatekeeperCommitteeMembersMismatch(membersHash, record.membersHash);
        }
        if (diversityWaived) return;
        uint256[4] memory ofVendor;
        for (uint256 i = 0; i < count; ++i) {
            uint8 vendor = _vendorOf(_gatekeepers[roll.operators[i]].teeType);
            if (++ofVendor[vendor] >= threshold) {
                revert GatekeeperCommitteeVendorTooStrong(vendor, ofVendor[vendor], threshold);
            }
        }
    }

    /// @dev 1 Intel, 2 AMD, 3 AWS; 0 whoever has no name here.
    function _vendorOf(uint8 teeType) private pure returns (uint8) {
        if (teeType == Ids.TEE_SGX || teeType == Ids.TEE_TDX) return 1;
        if (teeType == Ids.TEE_SEV_SNP) return 2;
        return teeType == Ids.TEE_NITRO ? 3 : 0;
    }

    function _checkDealers(uint32 dealers, uint256 count, uint256 needed) private pure {
        uint256 dealing;
        for (uint256 i = 0; i < count; ++i) dealing += (dealers >> i) & 1;
        if (dealing < needed || uint256(dealers) >> count != 0) {
            revert GatekeeperCommitteeDealersInvalid(dealers, count, needed);
        }
    }

    function _checkKeys(HandoverRecord calldata record) private view returns (bytes32 keysHash) {
        _checkKey(record.appsPublicKey);
        _checkKey(record.beaconPublicKey);
        keysHash = keccak256(abi.encode(record.appsPublicKey, record.beaconPublicKey));
        bytes32 known = networkKeysHash;
        if (known != 0 && known != keysHash) revert GatekeeperCommitteeKeysChanged(known, keysHash);
    }

    /// @dev Only the form: compressed, and not the identity. Whether it is a point nothing here depends on.
    function _checkKey(bytes calldata publicKey) private pure {
        if (publicKey.length != PUBLIC_KEY_LENGTH || uint8(publicKey[0]) & 0xc0 != 0x80) {
            revert GatekeeperCommitteeKeyInvalid(publicKey);
        }
    }

    function _found(HandoverRecord calldata record, address[] memory operators, bytes32 keysHash) private {
        bytes32[] memory evidenceHashes = new bytes32[](operators.length);
        for (uint256 i = 0; i < operators.length; ++i) {
            evidenceHashes[i] = _gatekeepers[operators[i]].evidenceHash;
        }
        foundingHash = keccak256(abi.encode(record.transcriptHash, evidenceHashes));
        networkKeysHash = keysHash;
        appsPublicKey = record.appsPublicKey;
        beaconPublicKey = record.beaconPublicKey;
        emit KeysMade(record.appsPublicKey, record.beaconPublicKey, keysHash, foundingHash);
    }
}
