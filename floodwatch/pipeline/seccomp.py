"""The system calls that are left to a watch or a scan: a filter of classic BPF of our own (seccomp(2)).

For a watch whatever is not listed fails with EPERM and ends nothing: a library that tries something is told
no, and goes on. Younger calls than these fail with ENOSYS, for which C libraries have another way.
Not listed are, among others, execve, fork, ptrace, connect, listen, mount, unshare, setns, keyctl, io_uring
and all that writes to a file system by name; ``open`` may read, ``kill`` may reach this process alone, and
no memory becomes executable. A scan, which opens captures and writes reports all the time, goes by a list of
what is refused instead.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

# name: number on x86_64, number on aarch64 (-: it has none)
PLAIN = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69,
pwritev 296 70, lseek 8 62, close 3 57, close_range 436 436, dup 32 23, dup2 33 -, dup3 292 24, fsync 74 82,
fdatasync 75 83, flock 73 32, ftruncate 77 46, fstat 5 80, newfstatat 262 79, stat 4 -, lstat 6 -,
statx 332 291, access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -, readlinkat 267 78,
getdents64 217 61,
getcwd 79 17, poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create1 291 20, epoll_ctl 233 21,
epoll_wait 232 -, epoll_pwait 281 22, pipe 22 -, pipe2 293 59, eventfd2 290 19, bind 49 200,
getsockname 51 204, getsockopt 55 209, setsockopt 54 208, getpeername 52 205, recvfrom 45 207,
recvmsg 47 212, shutdown 48 210, socketpair 53 199, brk 12 214, munmap 11 215, mremap 25 216,
madvise 28 233, membarrier 324 283, futex 202 98, set_robust_list 273 99, rseq 334 293, exit 60 93,
exit_group 231 94, sched_yield 24 124, sched_getaffinity 204 123, set_tid_address 218 96,
restart_syscall 219 128, gettid 186 178, getpid 39 172, getppid 110 173, getuid 102 174, geteuid 107 175,
getgid 104 176, getegid 108 177, getresuid 118 148, getresgid 120 150, getgroups 115 158, getrandom 318 278,
clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101,
gettimeofday 96 169, time 201 -, times 100 153, getrusage 98 165, sysinfo 99 179, uname 63 160,
getcpu 309 168, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
rt_sigtimedwait 128 137, rt_sigsuspend 130 133, sigaltstack 131 132
"""
JUDGED = """
open 2 -, openat 257 56, fcntl 72 25, ioctl 16 29, mmap 9 222, mprotect 10 226, clone 56 220,
socket 41 198, sendto 44 206, kill 62 129, tgkill 234 131, prlimit64 302 261, prctl 157 167, bpf 321 280
"""
REFUSED = """
execve 59 221, execveat 322 281, fork 57 -, vfork 58 -, socket 41 198, socketpair 53 199, connect 42 203,
ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, tkill 200 130, rt_sigqueueinfo 129 138,
rt_tgsigqueueinfo 297 240, pidfd_open 434 434, pidfd_getfd 438 438, pidfd_send_signal 424 424, bpf 321 280,
mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, unshare 272 97, setns 308 268,
keyctl 250 219, add_key 248 217, request_key 249 218, io_uring_setup 425 425, perf_event_open 298 241,
userfaultfd 323 282, init_module 175 105, finit_module 313 273, kexec_load 246 104, reboot 169 142,
open_by_handle_at 304 265, setuid 105 146, setresuid 117 147, setreuid 113 145
"""
CLONE3, SECCOMP = 435, {"x86_64": 317, "aarch64": 277}
YOUNGEST = 439
"""The youngest call that is listed; numbers of newer calls are the same on all machines."""
OTHER_ABI = 0x40000000
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""Machine -> its AUDIT_ARCH and its column in the lists."""
FILTER, ALL_THREADS = 1, 1
ALLOW, FAIL = 0x7FFF0000, 0x00050000
LOAD, RETURN, EQUAL, ABOVE, ANY_BIT = 0x20, 0x06, 0x15, 0x25, 0x45
"""Operations of classic BPF: load a word, return; jump if equal, if above, if any bit is set."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
EXECUTABLE, THREAD = 4, 0x10000
UNIX, NETLINK, PACKET = 1, 16, 17
ROUTE, SOCK_DIAG, NETFILTER = 0, 4, 12
TERMINALS = (0x5401, 0x5413, 0x802C542A)
"""What ``isatty`` and the size of a terminal ask; nothing that types into one."""
FILES = (0x5421, 0x5450, 0x5451, 0x541B)
INTERFACES = (0x8910, 0x8933)
"""SIOCGIFNAME and SIOCGIFINDEX."""
FCNTL = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC."""
PRCTL = (1, 15, 16, 0x53564D41)
"""PR_SET_PDEATHSIG, PR_SET_NAME, PR_GET_NAME, and PR_SET_VMA, with which C libraries name their memory."""
BPF_OF_XDP = (1, 3, 15, 24, 26, 28)
"""Commands of bpf(2) that keep maps up to date and attach the loaded program again."""


class Test(NamedTuple):
    """What an argument of a call must be; only its lower half counts, but for ``null``."""

    argument: int
    what: Literal["is", "lacks", "has", "null"]
    value: int = 0


Ways = Sequence[Sequence[Test]]
"""A call passes if all tests of one of these hold."""


def ways(*, net_admin: bool, net_raw: bool, bpf: bool) -> Mapping[str, Ways]:
    """Which calls of ``JUDGED`` pass, and with what arguments."""

    def one_of(argument: int, values: Iterable[int]) -> Ways:
        return [[Test(argument, "is", value)] for value in values]

    def netlink(*protocols: int) -> Ways:
        return [[Test(0, "is", NETLINK), Test(2, "is", number)] for number in protocols]

    sockets = [[Test(0, "is", UNIX)], *netlink(ROUTE, SOCK_DIAG, *([NETFILTER] if net_admin else []))]
    sockets += [[Test(0, "is", PACKET)]] if net_raw else []
    return {
        "open": [[Test(1, "lacks", WRITES)]],
        "openat": [[Test(2, "lacks", WRITES)]],
        "fcntl": one_of(1, FCNTL),
        "ioctl": one_of(1, (*TERMINALS, *FILES, *INTERFACES)),
        "mmap": [[Test(2, "lacks", EXECUTABLE)]],
        "mprotect": [[Test(2, "lacks", EXECUTABLE)]],
        "clone": [[Test(0, "has", THREAD)]],
        "socket": sockets,
        "sendto": [[Test(4, "null")]],
        "kill": one_of(0, [os.getpid()]),
        "tgkill": one_of(0, [os.getpid()]),
        "prlimit64": [[Test(2, "null")]],
        "prctl": one_of(0, PRCTL),
        "bpf": one_of(0, BPF_OF_XDP) if bpf else [],
    }


def numbers(listed: str, column: int) -> dict[str, int]:
    """Name -> number of the calls of a list on one machine."""
    rows = (row.split() for row in listed.replace("\n", " ").split(",") if row.strip())
    return {name: int(found[column]) for name, *found in rows if found[column] != "-"}


def ways_of_scan() -> Mapping[str, Ways]:
    """The same for a scan: threads, and signals to itself."""
    strict = ways(net_admin=False, net_raw=False, bpf=False)
    return {name: strict[name] for name in ("clone", "kill", "tgkill")}


def program(machine: str, judged: Mapping[str, Ways], *, strict: bool = True) -> bytes:
    """The filter for a machine, as the kernel takes it.

    Args:
        machine: one of ``ARCHITECTURES``.
        judged: calls of ``JUDGED`` that are looked at more closely.
        strict: beside them what is in ``PLAIN`` passes and nothing else; or all but what is in ``REFUSED``.
    """
    architecture, column = ARCHITECTURES[machine]
    code = [_step(LOAD, 4), _step(EQUAL, architecture, 1, 0), _fail(errno.EPERM), _step(LOAD, 0)]
    listed, answer = (PLAIN, _step(RETURN, ALLOW)) if strict else (REFUSED, _fail(errno.EPERM))
    for number in numbers(listed, column).values():
        code += [_step(EQUAL, number, 0, 1), answer]
    for name, number in numbers(JUDGED, column).items():
        if name in judged:
            body = [part for tests in judged[name] for part in _way(tests)]
            body.append(_fail(errno.EPERM))
            # a jump reaches 255 steps: none of the bodies is nearly as long
            code += [_step(EQUAL, number, 0, len(body)), *body]
    code += [_step(EQUAL, CLONE3, 0, 1), _fail(errno.ENOSYS)]
    if strict:
        code += [_step(ABOVE, YOUNGEST, 0, 1), _fail(errno.ENOSYS), _fail(errno.EPERM)]
    else:  # numbers of the 32-bit ABI are other calls
        code += [_step(ABOVE, OTHER_ABI - 1, 0, 1), _fail(errno.EPERM), _step(RETURN, ALLOW)]
    return b"".join(code)


def _way(tests: Sequence[Test]) -> Iterator[bytes]:
    """Return "allow" if all tests hold, else go on behind."""
    steps: list[tuple[int, int, bool]] = []  # operation, operand, whether to go on when it jumps
    for test in tests:
        at = 16 + 8 * test.argument
        match test.what:
            case "is":
                steps += [(LOAD, at, True), (EQUAL, test.value, True)]
            case "has":
                steps += [(LOAD, at, True), (ANY_BIT, test.value, True)]
            case "lacks":
                steps += [(LOAD, at, True), (ANY_BIT, test.value, False)]
            case "null":
                steps += [(LOAD, at, True), (EQUAL, 0, True), (LOAD, at + 4, True), (EQUAL, 0, True)]
    for place, (operation, operand, good) in enumerate(steps):
        if operation == LOAD:
            yield _step(LOAD, operand)
        else:
            out = len(steps) - place  # over the rest, and over the return
            yield _step(operation, operand, *((0, out) if good else (out, 0)))
    yield _step(RETURN, ALLOW)


def _step(operation: int, operand: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, yes, no, operand)


def _fail(code: int) -> bytes:
    return _step(RETURN, FAIL | code)


def available() -> bool:
    """Is there a filter for this machine, and does the kernel take filters?"""
    return os.uname().machine in SECCOMP and os.path.exists("/proc/sys/kernel/seccomp/actions_avail")


def confine(judged: Mapping[str, Ways], *, strict: bool = True) -> None:
    """Put the filter on all threads of this process, for good; needs no_new_privs.

    Raises:
        OSError: the kernel refused.
    """
    machine = os.uname().machine
    code = program(machine, judged, strict=strict)
    held = ctypes.create_string_buffer(code, len(code))
    form = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held))
    library = ctypes.CDLL(None, use_errno=True)
    result = library.syscall(SECCOMP[machine], FILTER, ALL_THREADS, ctypes.create_string_buffer(form))
    if result != 0:  # above 0: the thread that could not be brought along
        code_of = ctypes.get_errno() if result < 0 else errno.EBUSY
        raise OSError(code_of, os.strerror(code_of))
