"""The system calls that a student's process may make: a list, and a filter of it that the kernel runs before every call.

What stands on the list computes, reads and writes what is open, and asks for memory and the time.  Processes, programs, sockets,
signals to others and files' owners and modes are not on it: they fail with EPERM; a call that nobody thought of is
answered ENOSYS, as by a kernel that lacks it, so that the C library takes another way.  See seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import struct
from functools import cache

libc = ctypes.CDLL(None, use_errno=True)

# name: (number on x86-64, number on aarch64); None where there is none
CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "madvise": (28, 233),
    "brk": (12, 214),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "open": (2, None),
    "openat": (257, 56),
    "close": (3, 57),
    "lseek": (8, 62),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents": (78, None),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "flock": (73, 32),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "ftruncate": (77, 46),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "umask": (95, 166),
    "select": (23, None),
    "pselect6": (270, 72),
    "poll": (7, None),
    "ppoll": (271, 73),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "eventfd2": (290, 19),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137),
    "sigaltstack": (131, 132),
    "pause": (34, None),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    "alarm": (37, None),
    "restart_syscall": (219, 128),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getgroups": (115, 158),
    "getpgrp": (111, None),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "getpriority": (140, 141),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "getcpu": (309, 168),
    "sched_getaffinity": (204, 123),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "set_tid_address": (218, 96),
    "set_robust_list": (273, 99),
    "get_robust_list": (274, 100),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "arch_prctl": (158, None),
    "getrandom": (318, 278),
    "exit": (60, 93),
    "exit_group": (231, 94),
}

# name: (x86-64, aarch64, argument, values that it may have): the kernel looks at the low half of the argument
CHOSEN: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    # duplicate, flags, locks; not F_SETOWN and F_SETSIG, which send signals to others
    "fcntl": (72, 25, 1, (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)),
    # is it a terminal, close on exec, how much is there to read
    "ioctl": (16, 29, 1, (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)),
    # a thread's name, a mapping's name
    "prctl": (157, 167, 0, (15, 16, 0x53564D41)),
}
OF_ITSELF = {"kill": (62, 129), "tgkill": (234, 131)}  # abort() sends itself a signal
PRLIMIT = (302, 261)
CLONE, CLONE3, CLONE_THREAD = (56, 220), 435, 0x10000
REFUSED = {"fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "socket": (41, 198)}
REFUSED |= {
    "connect": (42, 203),
    "socketpair": (53, 199),
    "ptrace": (101, 117),
    "unshare": (272, 97),
    "tkill": (200, 130),
}
REFUSED |= {"mount": (165, 40), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "setrlimit": (160, 164)}

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column in the tables, what the kernel calls it
SOMEBODY = 0xFFFFFFFF  # no process has this number, and nothing else in the filter is it
X32 = 0x40000000  # calls of another interface have this bit
KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # of Berkeley's packet filter
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # where the kernel puts them


def program(machine: str, pid: int) -> list[tuple[int, int, int, int]]:
    """The filter for a process with this id, as (what, jump if so, jump if not, with what)."""
    column, architecture = MACHINES[machine]

    def answer(value: int) -> tuple[int, int, int, int]:
        return (RETURN, 0, 0, value)

    def argument(i: int, high: bool = False) -> tuple[int, int, int, int]:
        return (LOAD, 0, 0, ARGUMENTS + 8 * i + 4 * high)

    def case(number: int | None, *block: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
        """The block, jumped over for other calls."""
        return [] if number is None else [(EQUAL, 0, len(block), number), *block]

    yes, no, unknown = answer(ALLOW), answer(ERRNO | errno.EPERM), answer(ERRNO | errno.ENOSYS)
    lines = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture), answer(KILL), (LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":
        lines += [(AT_LEAST, 0, 1, X32), answer(KILL)]
    for numbers in CALLS.values():
        lines += case(numbers[column], yes)
    for *numbers, at, values in CHOSEN.values():
        one_of = [(EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
        lines += case(numbers[column], argument(at), *one_of, no, yes)
    for numbers in OF_ITSELF.values():
        lines += case(numbers[column], argument(0), (EQUAL, 1, 0, pid), no, yes)
    lines += case(  # one's own limits may be read, and not be set
        PRLIMIT[column],
        *(argument(0), (EQUAL, 0, 4, 0), argument(2), (EQUAL, 0, 2, 0), argument(2, high=True), (EQUAL, 1, 0, 0)),
        *(no, yes),
    )
    lines += case(CLONE[column], argument(0), (ANY_BIT, 1, 0, CLONE_THREAD), no, yes)
    for numbers in REFUSED.values():
        lines += case(numbers[column], no)
    return [*lines, unknown]  # clone3 among them: its arguments can't be looked at, and the C library takes clone


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("lines", ctypes.c_void_p)]


@cache
def packed(machine: str) -> bytes:
    """The filter as the kernel reads it, for the process SOMEBODY: to write it anew for each takes half a millisecond."""
    return b"".join(struct.pack("<HBBI", *line) for line in program(machine, SOMEBODY))


def install(machine: str, pid: int) -> None:  # pragma: no cover, it would bind the tests themselves
    """From here on this process, its threads and all that they might start can do what the list says; OSError if not."""
    lines = packed(machine).replace(struct.pack("<I", SOMEBODY), struct.pack("<I", pid))
    buffer = ctypes.create_string_buffer(lines)
    filter = _Filter(len(lines) // 8, ctypes.addressof(buffer))
    no_new_privileges, set_seccomp, by_filter = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(set_seccomp, by_filter, ctypes.byref(filter), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp: the kernel did not take the filter")
