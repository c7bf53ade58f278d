// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidencePolicies} from "../attestation/EvidencePolicies.sol";
import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {ReceiptLib} from "../receipts/ReceiptLib.sol";
import {Governed} from "./Governed.sol";
import {IBond} from "./IBond.sol";
import {IGatekeeperCommittee} from "./IGatekeeperCommittee.sol";

/// @title GatekeeperState
/// @notice What is kept of gatekeepers and of the generation that holds the keys.
abstract contract GatekeeperState is IGatekeeperCommittee, EvidencePolicies {
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

    uint256 public constant MAX_MEMBERS = 32;

    /// @inheritdoc IGatekeeperCommittee
    IWorkerRegistry public immutable workerRegistry;

    /// @inheritdoc IGatekeeperCommittee
    bool public immutable diversityWaived;

    bytes32 internal immutable _domainSeparator;

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
    address[] internal _eligible;
    mapping(address operator => Gatekeeper) internal _gatekeepers;
    Current internal _current;

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

    function _isEligible(address operator) internal view returns (bool) {
        uint256 length = _eligible.length;
        for (uint256 i = 0; i < length; ++i) {
            if (_eligible[i] == operator) return true;
        }
        return false;
    }

    /// @dev Nothing is at stake where no contract says what is.
    function _bondOf(address operator) internal view returns (uint256) {
        return address(bond) == address(0) ? 0 : bond.bondOf(operator);
    }
}
