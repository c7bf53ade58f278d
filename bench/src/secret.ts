import { randomBytes, SecretBytes, utf8 } from '@cloister/crypto';
import { publicShareAt } from '@cloister/threshold/dkg';
import { signWithShare } from '@cloister/threshold/native';
import { openSealed, sealToIdentity } from '@cloister/threshold/seal';
import { makeKey } from '../../packages/threshold/test/keyCeremony.ts';
import { type BenchLine, interleaved } from './measure.ts';

const aad = utf8('DATABASE_URL');
const secret = randomBytes(1_000);

/** secret-seal: 1 kB sealed to an app's key, by its owner who has the committee's public key alone. */
export async function benchSecretSeal(): Promise<BenchLine> {
  const { publicKey, identity } = keyOfApp();
  const ours = () => sealToIdentity(publicKey, identity, aad, secret);
  return interleaved({ id: 'secret-seal', ours, runs: 30, callsPerRun: 5 });
}

/** secret-open: the same opened by a worker that was given the key. */
export async function benchSecretOpen(): Promise<BenchLine> {
  const { publicKey, identity, key } = keyOfApp();
  const sealed = await sealToIdentity(publicKey, identity, aad, secret);
  const ours = async () => {
    const { length } = await openSealed(key, identity, aad, sealed);
    if (length !== secret.length) throw new Error('Expected what was sealed');
  };
  return interleaved({ id: 'secret-open', ours, runs: 30, callsPerRun: 5 });
}

/** A committee's public key, an app's identity, and its key, which is the committee's signature over it. */
function keyOfApp() {
  const { commitments, shares } = makeKey(1, 1);
  const [share] = shares;
  if (share === undefined) throw new Error('Expected a share');
  const identity = randomBytes(32);
  return {
    publicKey: publicShareAt(commitments, 0),
    identity,
    key: new SecretBytes(signWithShare(share, identity)),
  };
}
