/**
 * System calls that programs in containers may make: those that podman's own profile (containers/common 0.50, seccomp.json)
 * allows to whoever has no capabilities, without what makes namespaces and mounts, keyrings, and the forms of 32 bits.
 */
const allowed = `
  accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown clock_getres
  clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create
  epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group
  faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync
  fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex futex_waitv futimesat
  get_mempolicy get_robust_list getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer
  getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid
  getsockname getsockopt gettid gettimeofday getuid getxattr inotify_add_watch inotify_init inotify_init1
  inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit ioctl ioprio_get ioprio_set kill
  landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen listxattr
  llistxattr lremovexattr lseek lsetxattr lstat madvise mbind membarrier memfd_create memfd_secret mincore mkdir
  mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
  mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
  name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
  pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64 process_mrelease
  process_vm_readv process_vm_writev pselect6 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat
  readv recvfrom recvmmsg recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall rmdir
  rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
  sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler
  sched_yield seccomp select semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto set_mempolicy
  set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid
  setresgid setresuid setreuid setrlimit setsid setsockopt setuid setxattr shmat shmctl shmdt shmget shutdown
  sigaltstack signalfd signalfd4 socketpair splice stat statfs statx symlink symlinkat sync sync_file_range syncfs
  sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
  timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork
  wait4 waitid waitpid write writev
`;
/** Refused as a right that is missing, not as a call that there is not: programs say so then. */
const forbidden = `
  add_key bpf chroot fsconfig fsmount fsopen fspick io_uring_setup keyctl mount mount_setattr move_mount open_tree
  perf_event_open pivot_root request_key setns umount2 unshare userfaultfd
`;
const architectures: Readonly<Record<string, string>> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };

/** Flags of clone(2) that make namespaces: all of CLONE_NEW*. */
const namespaceFlags = 0x7e02_0000;
/** Families of socket(2): Unix, IPv4, IPv6. */
const families = [1, 2, 10] as const;
const netlink = 16;
/** NETLINK_ROUTE, by which programs list the interfaces of their network. */
const route = 0;
/** PER_LINUX, PER_LINUX32, UNAME26, both, and the question which it is (personality(2)). */
const personalities = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] as const;
const [permissionDenied, noSuchCall] = [1, 38];

/**
 * The filter around every container, in the form of podman. Undefined for a processor that it is not known for.
 *
 * The engine's own lets whoever has no capabilities make a user namespace and have all of them in it, by which most of the
 * kernel's mounts and networks come into reach; and open sockets of every family, of which some, such as AF_VSOCK, go past
 * the network that a container has. On a machine that is itself a guest, that one ends at its host.
 */
export function seccompProfile(
  { clone3 = false }: { readonly clone3?: boolean } = {},
  processor: string = process.arch,
): object | undefined {
  const architecture = architectures[processor];
  if (architecture === undefined) return undefined;
  const equals = (index: number, value: number) => ({ index, value, valueTwo: 0, op: 'SCMP_CMP_EQ' });
  const allow = (names: readonly string[], args: readonly object[] = []) => ({ names, action: 'SCMP_ACT_ALLOW', args });
  const refuse = (names: readonly string[], errnoRet: number, args: readonly object[] = []) => ({
    ...{ names, action: 'SCMP_ACT_ERRNO', args, errnoRet },
  });
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: noSuchCall,
    defaultErrno: 'ENOSYS',
    // Without its forms of 32 bits, in which one call stands for all that concern sockets.
    archMap: [{ architecture, subArchitectures: [] }],
    syscalls: [
      allow(words(allowed)),
      refuse(words(forbidden), permissionDenied),
      allow(['clone'], [{ index: 0, value: namespaceFlags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }]),
      // Its flags lie in memory, which no filter reads; C libraries then use the one before.
      clone3 ? allow(['clone3']) : refuse(['clone3'], noSuchCall),
      ...families.map((family) => allow(['socket'], [equals(0, family)])),
      allow(['socket'], [equals(0, netlink), equals(2, route)]),
      ...personalities.map((value) => allow(['personality'], [equals(0, value)])),
    ],
  };
}

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
