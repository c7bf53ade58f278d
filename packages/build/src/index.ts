export { BundleError, bundleFunction, type FunctionBundle } from './bundleFunction.ts';
