// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidenceClaims} from "../attestation/IEvidenceVerifier.sol";
import {IWorkerRegistryTypes} from "../IWorkerRegistry.sol";
import {Ids} from "../libraries/Ids.sol";
import {GatekeeperState} from "./GatekeeperState.sol";
import {IBond} from "./IBond.sol";
import {IGatekeeperCommittee} from "./IGatekeeperCommittee.sol";

/// @title GatekeeperMembers
/// @notice Who may be a gatekeeper, and with which enclave.
abstract contract GatekeeperMembers is GatekeeperState {
    uint256 private constant MAX_ENDPOINT_LENGTH = 256;

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
    function setBondRule(IBond bond_, uint256 minimum) external onlyTimelock {
        if (address(bond_).code.length == 0) revert GatekeeperCommitteeBondWithoutCode(address(bond_));
        bond = bond_;
        minimumBond = minimum;
        emit BondRuleSet(bond_, minimum);
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

    function _checkMayJoin(string calldata endpoint) internal view {
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
    ) internal returns (uint64 leaseUntil, bytes32 evidenceHash) {
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

    /// @dev A signer belongs to one operator for ever, and never returns once another one or an eviction replaced it.
    function _claimSigner(address signer) internal {
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
    ) internal returns (bool renewed) {
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
}
