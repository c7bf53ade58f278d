export { choicesWithLast } from './choicesWithLast.ts';
export {
  type CombineInit,
  combinePartials,
  combineVerified,
  type Partial,
  verifySignature,
} from './combinePartials.ts';
export { deriveFromSignature } from './deriveFromSignature.ts';
