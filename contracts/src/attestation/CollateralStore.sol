// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CodeBlob} from "../libraries/CodeBlob.sol";
import {IntelJson, QeIdentity, TcbInfo} from "../libraries/IntelJson.sol";
import {P256Verify} from "../libraries/P256Verify.sol";
import {RevocationList} from "../libraries/RevocationList.sol";
import {Certificate, Crl, X509} from "../libraries/X509.sol";
import {ICollateralStore} from "./ICollateralStore.sol";
import {IntelRoles} from "./IntelRoles.sol";

/// @title CollateralStore
/// @dev The version grows exactly when a verdict remembered under it might be wrong now: a status, a revocation, or an end
/// that comes earlier. What only lasts longer leaves it as it is.
contract CollateralStore is ICollateralStore {
    struct Head {
        uint24 version;
        uint32 rootCrlThisUpdate;
        uint32 rootCrlNextUpdate;
        uint8 pckCas;
        uint8 signers;
        /// Bit n: signer n. Hence at most 151 of them, from 1 on.
        uint152 revokedSigners;
    }

    /// @notice What changes of a CA of platform certificates; a verdict reads nothing else of it.
    /// @param notAfter Unix seconds; zero where the root's list names its certificate.
    struct PckCaState {
        address revocations;
        uint32 notAfter;
        uint32 crlThisUpdate;
        uint32 crlNextUpdate;
    }

    /// @notice Where to find a CA.
    /// @param certificate The contract that holds key, tag of the serial number and times of its certificate.
    struct PckCaPlace {
        address certificate;
        uint8 index;
    }

    struct Signer {
        // ### 1st and 2nd slot
        uint256 keyX;
        uint256 keyY;
        // ### 3rd slot
        bytes16 serialTag;
        uint32 notBefore;
        uint32 notAfter;
    }

    /// @dev One less than an index can be: loops end behind the last one.
    uint8 private constant MAX_PCK_CAS = 254;
    uint8 private constant MAX_SIGNERS = 151;

    /// @inheritdoc ICollateralStore
    uint256 public immutable ROOT_X;
    /// @inheritdoc ICollateralStore
    uint256 public immutable ROOT_Y;
    /// @inheritdoc ICollateralStore
    bool public immutable simulated;

    Head private _head;
    address private _rootRevocations;
    mapping(bytes32 pckCaId => PckCaPlace) private _pckCas;
    mapping(uint8 index => bytes32 pckCaId) private _pckCaIds;
    mapping(uint8 index => PckCaState) private _pckCaStates;
    mapping(uint8 index => Signer) private _signers;
    mapping(bytes32 kind => Statement) private _tcbInfos;
    mapping(uint8 teeType => Statement) private _qeIdentities;

    constructor(uint256 rootX, uint256 rootY) {
        if (rootX == 0 || rootY == 0) revert CollateralStoreRootMissing(rootX, rootY);
        ROOT_X = rootX;
        ROOT_Y = rootY;
        simulated = !IntelRoles.isRoot(rootX, rootY);
        _head.version = 1;
    }

    /* CERTIFICATES AND REVOCATION LISTS */

    /// @inheritdoc ICollateralStore
    function submitRootCrl(bytes calldata der) external {
        Crl memory crl = X509.readCrl(der);
        Head memory head = _head;
        _checkRootIssued(crl.issuer, crl.issuerAt, crl.digest, crl.signatureR, crl.signatureS);
        _checkTime(crl.thisUpdate, crl.nextUpdate);
        if (crl.thisUpdate <= head.rootCrlThisUpdate) {
            revert CollateralStoreNotNewer(crl.thisUpdate, head.rootCrlThisUpdate);
        }
        bool changed = _clamp(crl.nextUpdate) < head.rootCrlNextUpdate;
        head.rootCrlThisUpdate = _clamp(crl.thisUpdate);
        head.rootCrlNextUpdate = _clamp(crl.nextUpdate);
        _rootRevocations = CodeBlob.holds(_rootRevocations, crl.revoked) ? _rootRevocations : CodeBlob.write(crl.revoked);

        for (uint8 index = 1; index <= head.pckCas; ++index) {
            PckCaState storage state = _pckCaStates[index];
            (, PckCa memory ca) = pckCaOf(_pckCaIds[index]);
            uint32 notAfter = RevocationList.contains(crl.revoked, ca.serialTag) ? 0 : ca.notAfter;
            if (notAfter == state.notAfter) continue;
            state.notAfter = notAfter;
            changed = true;
        }
        uint256 revokedSigners;
        for (uint8 index = 1; index <= head.signers; ++index) {
            if (RevocationList.contains(crl.revoked, _signers[index].serialTag)) revokedSigners |= uint256(1) << index;
        }
        if (revokedSigners != head.revokedSigners) {
            head.revokedSigners = uint152(revokedSigners);
            changed = true;
        }
        if (changed) ++head.version;
        _head = head;
        emit RootCrlSubmitted(
            head.rootCrlThisUpdate, head.rootCrlNextUpdate, RevocationList.countOf(crl.revoked), head.version
        );
    }

    /// @inheritdoc ICollateralStore
    function submitPckCa(bytes calldata der) external {
        Certificate memory cert = X509.readCertificate(der);
        if (!IntelRoles.isPckCa(cert.subjectName, simulated)) revert CollateralStoreRole(cert.subjectName);
        _checkCertificate(cert);
        if (!cert.isCa) revert CollateralStoreNotCa(cert.keyUsage);
        _checkKeyUsage(cert.keyUsage, X509.KEY_USAGE_SIGNS_CERTIFICATES | X509.KEY_USAGE_SIGNS_CRLS);
        if (cert.subjectKeyId == 0) revert CollateralStoreKeyIdMissing();

        bytes32 id = IntelRoles.pckCaId(X509.hashOfName(cert.subjectAt), cert.subjectKeyId);
        (uint8 index, PckCa memory present) = pckCaOf(id);
        if (index == 0) {
            index = _head.pckCas;
            if (index == MAX_PCK_CAS) revert CollateralStoreTooMany(uint256(index) + 1, index);
            _head.pckCas = ++index;
            _pckCaIds[index] = id;
        } else {
            if (cert.notBefore <= present.notBefore) revert CollateralStoreNotNewer(cert.notBefore, present.notBefore);
            if (cert.keyX != present.keyX || cert.keyY != present.keyY) revert CollateralStoreKeyChanged(id);
            ++_head.version;
        }
        uint32 notAfter = _clamp(cert.notAfter);
        _pckCas[id] = PckCaPlace(
            CodeBlob.write(abi.encodePacked(cert.keyX, cert.keyY, cert.serialTag, _clamp(cert.notBefore), notAfter)), index
        );
        _pckCaStates[index].notAfter = notAfter;
        emit PckCaSubmitted(index, id, notAfter, _head.version);
    }

    /// @inheritdoc ICollateralStore
    function submitTcbSigner(bytes calldata der) external {
        Certificate memory cert = X509.readCertificate(der);
        if (!IntelRoles.isTcbSigner(cert.subjectName, simulated)) revert CollateralStoreRole(cert.subjectName);
        _checkCertificate(cert);
        if (cert.isCa) revert CollateralStoreCaNotAllowed();
        _checkKeyUsage(cert.keyUsage, X509.KEY_USAGE_SIGNS_DATA);

        uint8 index = _head.signers;
        if (index != 0 && cert.notBefore <= _signers[index].notBefore) {
            revert CollateralStoreNotNewer(cert.notBefore, _signers[index].notBefore);
        }
        if (index == MAX_SIGNERS) revert CollateralStoreTooMany(uint256(index) + 1, MAX_SIGNERS);
        _head.signers = ++index;
        _signers[index] =
            Signer(cert.keyX, cert.keyY, cert.serialTag, _clamp(cert.notBefore), _clamp(cert.notAfter));
        emit TcbSignerSubmitted(index, _clamp(cert.notAfter), _head.version);
    }

    /// @inheritdoc ICollateralStore
    function submitPckCrl(bytes calldata der) external {
        Crl memory crl = X509.readCrl(der);
        if (crl.authorityKeyId == 0) revert CollateralStoreKeyIdMissing();
        (uint8 index, PckCa memory ca) = pckCaOf(IntelRoles.pckCaId(crl.issuer, crl.authorityKeyId));
        if (index == 0) revert CollateralStoreIssuer(crl.issuer);
        if (ca.revoked) revert CollateralStoreRevoked(ca.serialTag);
        _checkTime(ca.notBefore, ca.notAfter);
        _checkSignature(crl.digest, crl.signatureR, crl.signatureS, ca.keyX, ca.keyY);
        _checkTime(crl.thisUpdate, crl.nextUpdate);
        if (crl.thisUpdate <= ca.crlThisUpdate) revert CollateralStoreNotNewer(crl.thisUpdate, ca.crlThisUpdate);

        bool changed = _clamp(crl.nextUpdate) < ca.crlNextUpdate;
        PckCaState storage state = _pckCaStates[index];
        if (!CodeBlob.holds(ca.revocations, crl.revoked)) {
            state.revocations = CodeBlob.write(crl.revoked);
            changed = true;
        }
        state.crlThisUpdate = _clamp(crl.thisUpdate);
        state.crlNextUpdate = _clamp(crl.nextUpdate);
        if (changed) ++_head.version;
        emit PckCrlSubmitted(
            index, state.crlThisUpdate, state.crlNextUpdate, RevocationList.countOf(crl.revoked), _head.version
        );
    }

    /* STATEMENTS */

    /// @inheritdoc ICollateralStore
    function submitTcbInfo(bytes calldata json, bytes32 r, bytes32 s) external {
        (uint8 signer, uint32 signerNotAfter) = _checkStatement(json, r, s);
        TcbInfo memory info = IntelJson.readTcbInfo(json);
        Statement memory statement = _put(
            _tcbInfos[_kindOf(info.teeType, info.fmspc, info.pceId)],
            Statement({
                content: address(0),
                issuedAt: _clamp(info.issueDate),
                validUntil: _clamp(info.nextUpdate),
                evaluation: uint16(info.evaluation),
                signer: signer
            }),
            info.content,
            signerNotAfter
        );
        emit TcbInfoSubmitted(
            info.teeType,
            info.fmspc,
            info.pceId,
            statement.evaluation,
            statement.issuedAt,
            _clamp(info.nextUpdate),
            _head.version
        );
    }

    /// @inheritdoc ICollateralStore
    function submitQeIdentity(bytes calldata json, bytes32 r, bytes32 s) external {
        (uint8 signer, uint32 signerNotAfter) = _checkStatement(json, r, s);
        QeIdentity memory identity = IntelJson.readQeIdentity(json);
        Statement memory statement = _put(
            _qeIdentities[identity.teeType],
            Statement({
                content: address(0),
                issuedAt: _clamp(identity.issueDate),
                validUntil: _clamp(identity.nextUpdate),
                evaluation: uint16(identity.evaluation),
                signer: signer
            }),
            identity.content,
            signerNotAfter
        );
        emit QeIdentitySubmitted(
            identity.teeType, statement.evaluation, statement.issuedAt, _clamp(identity.nextUpdate), _head.version
        );
    }

    /* VIEWS */

    /// @inheritdoc ICollateralStore
    function version() external view returns (uint24) {
        return _head.version;
    }

    /// @inheritdoc ICollateralStore
    function collateralOf(
        uint8 teeType,
        bytes6 fmspc,
        bytes2 pceId,
        uint8 pckCa
    ) external view returns (Collateral memory collateral) {
        Head memory head = _head;
        collateral.version = head.version;
        collateral.rootCrlNextUpdate = head.rootCrlNextUpdate;
        collateral.tcbInfo = _tcbInfos[_kindOf(teeType, fmspc, pceId)];
        collateral.qeIdentity = _qeIdentities[teeType];
        collateral.signersRevoked = (head.revokedSigners >> collateral.tcbInfo.signer) & 1 != 0
            || (head.revokedSigners >> collateral.qeIdentity.signer) & 1 != 0;
        PckCaState memory ca = _pckCaStates[pckCa];
        collateral.pckCaRevoked = ca.notAfter == 0;
        collateral.pckCaNotAfter = ca.notAfter;
        collateral.pckCrlNextUpdate = ca.crlNextUpdate;
        collateral.revocations = ca.revocations;
    }

    /// @inheritdoc ICollateralStore
    function pckCaOf(bytes32 pckCaId) public view returns (uint8 index, PckCa memory ca) {
        PckCaPlace memory place = _pckCas[pckCaId];
        index = place.index;
        if (index == 0) return (0, ca);
        bytes memory certificate = CodeBlob.read(place.certificate);
        uint256 keyX;
        uint256 keyY;
        uint256 rest;
        assembly ("memory-safe") {
            keyX := mload(add(certificate, 0x20))
            keyY := mload(add(certificate, 0x40))
            rest := mload(add(certificate, 0x60))
        }
        (ca.keyX, ca.keyY, ca.serialTag) = (keyX, keyY, bytes16(bytes32(rest)));
        (ca.notBefore, ca.notAfter) = (uint32(rest >> 96), uint32(rest >> 64));
        PckCaState memory state = _pckCaStates[index];
        ca.revoked = state.notAfter == 0;
        (ca.revocations, ca.crlThisUpdate, ca.crlNextUpdate) =
            (state.revocations, state.crlThisUpdate, state.crlNextUpdate);
    }

    /// @inheritdoc ICollateralStore
    function rootCrl() external view returns (uint32 thisUpdate, uint32 nextUpdate) {
        return (_head.rootCrlThisUpdate, _head.rootCrlNextUpdate);
    }

    /* CHECKS */

    /// @dev Of a certificate that the root issues: names, signature, time, and that the root's list, which must be there
    /// and of now, does not name it.
    function _checkCertificate(Certificate memory cert) private view {
        _checkRootIssued(cert.issuer, cert.issuerAt, cert.digest, cert.signatureR, cert.signatureS);
        _checkTime(cert.notBefore, cert.notAfter);
        uint32 nextUpdate = _head.rootCrlNextUpdate;
        if (nextUpdate < block.timestamp) revert CollateralStoreRootCrlMissing(nextUpdate, block.timestamp);
        if (RevocationList.contains(CodeBlob.read(_rootRevocations), cert.serialTag)) {
            revert CollateralStoreRevoked(cert.serialTag);
        }
    }

    function _checkRootIssued(bytes32 issuer, uint256 issuerAt, bytes32 digest, uint256 r, uint256 s) private view {
        if (!IntelRoles.isRootName(X509.commonNameOf(issuerAt), simulated)) revert CollateralStoreIssuer(issuer);
        _checkSignature(digest, r, s, ROOT_X, ROOT_Y);
    }

    function _checkSignature(bytes32 digest, uint256 r, uint256 s, uint256 x, uint256 y) private view {
        if (!P256Verify.isValid(digest, r, s, x, y)) revert CollateralStoreSignature(digest);
    }

    function _checkKeyUsage(uint256 keyUsage, uint256 required) private pure {
        if (keyUsage & required != required) revert CollateralStoreKeyUsage(keyUsage, required);
    }

    /// @dev Both ends are inclusive.
    function _checkTime(uint256 notBefore, uint256 notAfter) private view {
        if (block.timestamp < notBefore) revert CollateralStoreNotYetValid(notBefore, block.timestamp);
        if (block.timestamp > notAfter) revert CollateralStoreExpired(notAfter, block.timestamp);
    }

    /// @dev That the present signer signed these bytes.
    function _checkStatement(bytes calldata json, bytes32 r, bytes32 s) private view returns (uint8, uint32) {
        uint8 index = _head.signers;
        if (index == 0) revert CollateralStoreSignerMissing();
        if (_isRevokedSigner(index)) revert CollateralStoreSignerRevoked(index);
        Signer storage signer = _signers[index];
        if (signer.notAfter < block.timestamp) revert CollateralStoreSignerExpired(signer.notAfter, block.timestamp);
        _checkSignature(sha256(json), uint256(r), uint256(s), signer.keyX, signer.keyY);
        return (index, signer.notAfter);
    }

    function _isRevokedSigner(uint8 index) private view returns (bool) {
        return (_head.revokedSigners >> index) & 1 != 0;
    }

    /// @dev Puts a statement in the place of an older one. What a revoked signer said gives way to anything.
    function _put(
        Statement storage place,
        Statement memory statement,
        bytes memory content,
        uint32 signerNotAfter
    ) private returns (Statement memory) {
        _checkTime(statement.issuedAt, statement.validUntil);
        if (signerNotAfter < statement.validUntil) statement.validUntil = signerNotAfter;
        Statement memory present = place;
        bool replaces = present.content != address(0);
        bool changed = replaces;
        if (replaces && !_isRevokedSigner(present.signer)) {
            if (statement.issuedAt <= present.issuedAt) {
                revert CollateralStoreNotNewer(statement.issuedAt, present.issuedAt);
            }
            if (statement.evaluation < present.evaluation) {
                revert CollateralStoreEvaluationLowered(statement.evaluation, present.evaluation);
            }
            changed = statement.evaluation != present.evaluation || statement.validUntil < present.validUntil;
        }
        if (CodeBlob.holds(present.content, content)) {
            statement.content = present.content;
        } else {
            statement.content = CodeBlob.write(content);
            changed = replaces;
        }
        _write(place, statement);
        if (changed) ++_head.version;
        return statement;
    }

    function _write(Statement storage place, Statement memory statement) private {
        place.content = statement.content;
        place.issuedAt = statement.issuedAt;
        place.validUntil = statement.validUntil;
        place.evaluation = statement.evaluation;
        place.signer = statement.signer;
    }

    function _kindOf(uint8 teeType, bytes6 fmspc, bytes2 pceId) private pure returns (bytes32) {
        return bytes32(abi.encodePacked(teeType, fmspc, pceId));
    }

    /// @dev Times beyond 2106 end then.
    function _clamp(uint256 time) private pure returns (uint32) {
        return time > type(uint32).max ? type(uint32).max : uint32(time);
    }
}
