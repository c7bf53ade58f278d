import { type ArgumentRule, compileFilter, type Verdict } from './compileFilter.ts';
import { systemCallNumber, words } from './systemCalls.ts';

/** What workerd, Node.js and the engines of models need, with what C libraries of other years use in their place. */
const allowed = `
  read write readv writev pread64 pwrite64 preadv preadv2 pwritev pwritev2 open openat close close_range lseek dup dup2
  dup3 fcntl flock ioctl pipe pipe2 access faccessat faccessat2 stat lstat fstat newfstatat statx statfs fstatfs readlink
  readlinkat getcwd chdir fchdir getdents getdents64 umask fadvise64 readahead fsync fdatasync ftruncate truncate mkdir
  mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat chmod fchmod fchmodat chown
  fchown fchownat utimensat futimesat sendfile
  mmap mprotect munmap mremap madvise brk mlock munlock mincore msync membarrier memfd_create pkey_alloc pkey_free
  pkey_mprotect get_mempolicy
  bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt sendto recvfrom sendmsg
  recvmsg sendmmsg recvmmsg
  poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2
  signalfd signalfd4 timerfd_create timerfd_settime timerfd_gettime inotify_init inotify_init1 inotify_add_watch
  inotify_rm_watch
  futex set_robust_list get_robust_list set_tid_address rseq restart_syscall fork vfork execve execveat exit exit_group
  wait4 waitid kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend
  rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack pause
  getpid getppid gettid getuid geteuid getgid getegid getgroups getresuid getresgid getpgid getpgrp getsid setsid
  setpgid capget prctl arch_prctl prlimit64 getrlimit setrlimit getrusage getpriority setpriority sched_yield
  sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
  getcpu sysinfo uname times
  time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep alarm getitimer setitimer timer_create
  timer_settime timer_gettime timer_getoverrun timer_delete getrandom
`;
/** Refused as a right that is missing, so that programs say so; whatever else is not allowed is a call that there is not. */
const forbidden = `
  setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset chroot pivot_root mount umount2
  unshare setns ptrace process_vm_readv process_vm_writev bpf perf_event_open userfaultfd keyctl add_key request_key
`;

/** AUDIT_ARCH_X86_64: EM_X86_64 with the bits for 64 bits and little-endian (linux/audit.h). */
const x64 = 0xc000_003e;
/** All of CLONE_NEW* (clone(2)). */
const namespaceFlags = 0x7e02_0000;
const unixFamily = 1;
const [permissionDenied, noSuchCall, noSuchFamily] = [1, 38, 97] as const;

/**
 * The filter around every process in a jail: no namespaces, no io_uring, no keyrings, no tracing, and no sockets but those of Unix, so
 * that nothing of the kernel's networks is in reach, nor AF_VSOCK, which no network namespace holds and which ends at the host of a
 * guest machine. Calls of 32 bits end the process. Undefined for a processor that it is not known for.
 */
export function jailFilter(processor: string = process.arch): Buffer | undefined {
  if (processor !== 'x64') return undefined;
  const denied: Verdict = { errno: permissionDenied };
  const unixOnly = { argument: 0, oneOf: [unixFamily], otherwise: { errno: noSuchFamily } };
  return compileFilter({
    auditArchitecture: x64,
    allowed: words(allowed).map(systemCallNumber),
    others: new Map<number, Verdict | ArgumentRule>([
      ...words(forbidden).map((name) => [systemCallNumber(name), denied] as const),
      [systemCallNumber('socket'), unixOnly] as const,
      [systemCallNumber('socketpair'), unixOnly] as const,
      // clone3 has its flags in memory, which no filter reads: there is none, and C libraries then use this one.
      [systemCallNumber('clone'), { argument: 0, withoutBits: namespaceFlags, otherwise: denied }] as const,
    ]),
    otherwise: { errno: noSuchCall },
  });
}
