export { openSealed, sealOverhead, sealToIdentity } from './sealToIdentity.ts';
