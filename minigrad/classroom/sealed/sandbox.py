"""The walls around a student's process: what it may read and write, what it may ask of the kernel, how much of everything.

`enclose` goes around the zygote, once; `seal` around each process that is forked from it.  Linux alone has such walls; each function
says which of them stand.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path

from . import seccomp

try:
    import resource
except ImportError:  # Windows
    resource = None

libc = ctypes.CDLL(None, use_errno=True)

MEMORY = 1 << 30  # bytes, beyond what the packages take
CPU_SECONDS = 600  # of a whole notebook; the clock on the wall is the grader's
FILE = 16 << 20  # bytes, of one file
OPEN_FILES = 64
DISK, FILES = 64 << 20, 2000  # bytes and files, of all in scratch

NEW_SPACES = 0x00020000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x04000000  # mounts ipc user pid net uts
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL


def checked(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


# ---------------------------------------------------------------- around the zygote


def enclose(readable: list[Path], listable: list[Path], scratch: Path) -> list[str]:
    """Namespaces of its own, and no files but these; the names of the walls that stand.  Returns in another process."""
    stand = []
    for name, build in [
        ("namespaces", lambda: own_namespaces(scratch)),
        ("disk", lambda: own_disk(scratch, stand)),
        ("landlock", lambda: landlock(readable, listable, scratch)),
    ]:
        try:
            build()
            stand.append(name)
        except OSError:
            pass
    return stand


def own_namespaces(scratch: Path) -> None:
    """Go on as the first process of a world with no network and no other process; when it ends, all in it end."""
    if sys.platform != "linux":
        raise OSError("namespaces are Linux's")
    uid, gid = os.getuid(), os.getgid()
    checked(libc.unshare(NEW_SPACES), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    if child := os.fork():
        try:
            os.waitpid(child, 0)
            libc.umount2(bytes(scratch), 2)
            os.rmdir(scratch)  # the grader does, if it is still there; if it was killed, nobody else will
        finally:
            os._exit(0)
    libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)


def own_disk(scratch: Path, stand: list[str]) -> None:
    """A disk for scratch that is full soon, and gone with the namespace that it is in: a file without a name counts as well."""
    if "namespaces" not in stand:
        raise OSError("everybody would see it")
    no_programs = 2 | 4 | 8  # and no devices, no other uid
    about = f"mode=700,size={DISK},nr_inodes={FILES}".encode()
    checked(libc.mount(b"tmpfs", bytes(scratch), b"tmpfs", no_programs, about), "mount")


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_, _layout_ = 1, "ms"  # from Python 3.14 on the second must be said
    _fields_ = [("access", ctypes.c_uint64), ("fd", ctypes.c_int32)]


def landlock(readable: list[Path], listable: list[Path], scratch: Path) -> None:
    """Read what is readable, list what is listable, do anything in `scratch`, and touch no other file: landlock(7)."""
    if sys.platform != "linux":
        raise OSError("landlock is Linux's")
    version = checked(libc.syscall(LANDLOCK_CREATE, None, 0, 1), "landlock")
    everything = (1 << (13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16)) - 1
    net, scoped = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = checked(libc.syscall(LANDLOCK_CREATE, ctypes.byref(_Ruleset(everything, net, scoped)), size, 0), "landlock")
    allowed = [(path, READ_FILE | READ_DIR) for path in readable] + [(path, READ_DIR) for path in listable]
    allowed += [(scratch, everything & ~EXECUTE), (Path("/dev/null"), READ_FILE | WRITE_FILE)]
    allowed += [(Path("/dev/urandom"), READ_FILE)]
    for path, access in allowed:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what isn't there needs no permission
        beneath = _Beneath(access if os.path.isdir(path) else access & OF_FILES & everything, fd)
        checked(libc.syscall(LANDLOCK_ADD, rules, 1, ctypes.byref(beneath), 0), f"landlock: {path}")
        os.close(fd)
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    checked(libc.syscall(LANDLOCK_RESTRICT, rules, 0), "landlock")
    os.close(rules)


# ---------------------------------------------------------------- around each process


def seal(memory: int) -> list[str]:
    """Limits, no powers of an administrator, and the list of system calls; the names of the walls that stand.

    `memory` is what the process has already, in bytes.
    """
    stand = []
    for name, build in [("limits", lambda: limit(memory)), ("no powers", drop_powers), ("seccomp", filter_calls)]:
        try:
            build()
            stand.append(name)
        except (OSError, ValueError, KeyError, ImportError):
            pass
    return stand


def memory_in_use() -> int:
    """Bytes of address space, where Linux tells."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def limit(memory: int) -> None:
    for name, most in [
        ("RLIMIT_AS", memory + MEMORY),
        ("RLIMIT_CPU", CPU_SECONDS),
        ("RLIMIT_FSIZE", FILE),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NOFILE", OPEN_FILES),
    ]:
        if hasattr(resource, name) and (name != "RLIMIT_AS" or memory):
            resource.setrlimit(getattr(resource, name), (most, most))


def drop_powers() -> None:
    """Root without root's powers, and a process that no other may look into."""
    if sys.platform != "linux":
        raise OSError("capabilities are Linux's")
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    checked(libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    checked(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl")
    checked(libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0), "prctl")  # nor one that outlives the zygote


def prepare() -> None:
    """What need not be done again in each process."""
    if platform.machine() in seccomp.MACHINES:
        seccomp.packed(platform.machine())


def filter_calls() -> None:
    if sys.platform != "linux":
        raise OSError("seccomp is Linux's")
    seccomp.install(platform.machine(), os.getpid())
