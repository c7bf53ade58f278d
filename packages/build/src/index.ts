export { AppFileError, checkedByFile, type Place, type ReadAppFile, readAppFile } from './appFile.ts';
export { type AppBundle, bundleApp, isModule } from './bundleApp.ts';
export { appName, BundleError, bundleFunction, type FunctionBundle } from './bundleFunction.ts';
