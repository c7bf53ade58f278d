import { type ImportedFunction, show } from '../meter/moduleParts.ts';
import { WasmRefusal } from '../meter/wasmRefusal.ts';

/** The module name under which WASI preview 1 is imported. */
export const wasiModule = 'wasi_snapshot_preview1';

/**
 * Every function of WASI preview 1 with its parameters (i: i32, I: i64); each gives an i32 but for proc_exit. Source: the
 * witx files of WASI, phases/snapshot.
 */
const signatures: { readonly [name: string]: string } = {
  args_get: 'ii',
  args_sizes_get: 'ii',
  environ_get: 'ii',
  environ_sizes_get: 'ii',
  clock_res_get: 'ii',
  clock_time_get: 'iIi',
  fd_advise: 'iIIi',
  fd_allocate: 'iII',
  fd_close: 'i',
  fd_datasync: 'i',
  fd_fdstat_get: 'ii',
  fd_fdstat_set_flags: 'ii',
  fd_fdstat_set_rights: 'iII',
  fd_filestat_get: 'ii',
  fd_filestat_set_size: 'iI',
  fd_filestat_set_times: 'iIIi',
  fd_pread: 'iiiIi',
  fd_prestat_get: 'ii',
  fd_prestat_dir_name: 'iii',
  fd_pwrite: 'iiiIi',
  fd_read: 'iiii',
  fd_readdir: 'iiiIi',
  fd_renumber: 'ii',
  fd_seek: 'iIii',
  fd_sync: 'i',
  fd_tell: 'ii',
  fd_write: 'iiii',
  path_create_directory: 'iii',
  path_filestat_get: 'iiiii',
  path_filestat_set_times: 'iiiiIIi',
  path_link: 'iiiiiii',
  path_open: 'iiiiiIIii',
  path_readlink: 'iiiiii',
  path_remove_directory: 'iii',
  path_rename: 'iiiiii',
  path_symlink: 'iiiii',
  path_unlink_file: 'iii',
  poll_oneoff: 'iiii',
  proc_exit: 'i',
  proc_raise: 'i',
  random_get: 'ii',
  sched_yield: '',
  sock_accept: 'iii',
  sock_recv: 'iiiiii',
  sock_send: 'iiiii',
  sock_shutdown: 'ii',
};

export const wasiNames: readonly string[] = Object.keys(signatures);

/** Throws WASM_UNSUPPORTED for an import that is not a function of WASI preview 1 as it is defined. */
export function checkImports(imports: readonly ImportedFunction[]): void {
  for (const { module, name, type } of imports) {
    const wanted = module === wasiModule && Object.hasOwn(signatures, name) ? signatures[name] : undefined;
    if (wanted === undefined) throw refused(`imports "${show(module)}" "${show(name)}", which nobody offers`);
    const parameters = type.parameters.map((each) => (each === 0x7f ? 'i' : each === 0x7e ? 'I' : '?')).join('');
    const results = type.results.join();
    if (parameters !== wanted || results !== (name === 'proc_exit' ? '' : '127'))
      throw refused(`imports "${show(name)}" with other parameters than it has`);
  }
}

function refused(what: string): WasmRefusal {
  return new WasmRefusal('WASM_UNSUPPORTED', `The module ${what}`);
}
