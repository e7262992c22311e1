"""Takes from this process all that a script has no use for. It runs inside the child, before any script.

Every layer is tried, and `apply` says which of them hold: containers and Lambda allow different ones. Nothing here
imports anything of LinkFlow.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Sequence

NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 4, 38, 22
_NEW_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000 | 0x04000000  # user, network, IPC, host name
_ALLOW, _KILL, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026  # … EPERM, ENOSYS

_CALLS = {
    # name: (x86_64, aarch64)
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sched_yield": (24, 124), "mremap": (25, 216),
    "madvise": (28, 233), "getpid": (39, 172), "exit": (60, 93), "gettimeofday": (96, 169), "getrusage": (98, 165),
    "times": (100, 153), "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98),
    "restart_syscall": (219, 128), "clock_gettime": (228, 113), "exit_group": (231, 94), "getrandom": (318, 278),
    "rseq": (334, 293),
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "sendto": (44, 206), "sendmsg": (46, 211),
    "bind": (49, 200), "listen": (50, 201), "accept4": (288, 242), "sendmmsg": (307, 269), "ptrace": (101, 117),
    "personality": (135, 92), "pivot_root": (155, 41), "chroot": (161, 51), "mount": (165, 40), "umount2": (166, 39),
    "swapon": (167, 224), "reboot": (169, 142), "sethostname": (170, 161), "init_module": (175, 105),
    "kexec_load": (246, 104), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "unshare": (272, 97), "perf_event_open": (298, 241), "open_by_handle_at": (304, 265), "setns": (308, 268),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "finit_module": (313, 273), "bpf": (321, 280),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "move_mount": (429, 429), "fsopen": (430, 430), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "mount_setattr": (442, 442), "kill": (62, 129), "tkill": (200, 130),
    "tgkill": (234, 131),
    "pidfd_send_signal": (424, 424), "prlimit64": (302, 261),
}  # fmt: skip
_COMPUTING = frozenset(list(_CALLS)[: list(_CALLS).index("socket")])
"""What computing and answering takes: no file is opened, no process made, no address dialled."""
_REACHING = frozenset(_CALLS) - _COMPUTING
"""What reaches out of a process that must still be able to start its interpreter."""
_CLONE3 = (435, 435)
_ARCHES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]  # addresses are longer than an int


def limits(cpu: int, memory: int, processes: int = 0) -> None:
    """Hard limits: CPU seconds of the process's whole life, bytes of address space, no files, no core dumps."""
    wanted = {
        "RLIMIT_CPU": cpu, "RLIMIT_AS": memory, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_NOFILE": 64,
        "RLIMIT_NPROC": processes, "RLIMIT_MEMLOCK": 0, "RLIMIT_MSGQUEUE": 0,
    }  # fmt: skip
    for name, value in wanted.items():
        which = getattr(resource, name, None)
        if which is None or (name == "RLIMIT_NPROC" and processes < 0):
            continue
        with contextlib.suppress(OSError, ValueError):  # a lower one is there already
            resource.setrlimit(which, (value, value))


def become_nobody() -> bool:
    """Give up root, where that is who we are."""
    if os.geteuid() != 0:
        return False
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return False
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # or /proc/self would be root's
    return True


def own_namespaces() -> bool:
    """A network without any interface, where the system lets processes have their own."""
    return hasattr(_libc, "unshare") and _libc.unshare(_NEW_NAMESPACES) == 0


def no_capabilities() -> None:
    """What a namespace of its own gave this process over that namespace."""
    number = {"x86_64": 126, "aarch64": 91}.get(platform.machine())
    if number:
        _libc.syscall(number, struct.pack("Ii", 0x20080522, 0), bytes(24))


def die_with_parent() -> None:
    """Also where the parent is killed, nothing stays behind; and no program started here is given more rights."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def landlock(readable: Sequence[str | int] = ()) -> bool:
    """No files but `readable` (paths and descriptors; what is below them may be read and executed), and no TCP."""
    version = _libc.syscall(444, None, 0, 1)
    if version < 1:
        return False
    files = (1 << (13 if version < 2 else 14 if version < 3 else 15)) - 1
    attributes = struct.pack("QQ", files, 3 if version >= 4 else 0)
    rules = _libc.syscall(444, attributes, len(attributes) if version >= 4 else 8, 0)
    if rules < 0:
        return False
    for path in readable:
        with contextlib.suppress(OSError):
            place = path if isinstance(path, int) else os.open(path, os.O_PATH | os.O_CLOEXEC)
            rights = 0b1101 if os.path.isdir(f"/proc/self/fd/{place}") else 0b0101  # execute, read, list
            _libc.syscall(445, rules, 1, struct.pack("=Qi", rights, place), 0)
            if not isinstance(path, int):
                os.close(place)
    held = _libc.syscall(446, rules, 0) == 0
    os.close(rules)
    return bool(held)


def seccomp(strict: bool) -> bool:
    """A filter of system calls. `strict`: nothing but computing; otherwise all but what reaches out."""
    arch = _ARCHES.get(platform.machine())
    if arch is None or sys.platform != "linux":
        return False
    column, token = arch
    numbers = [_CALLS[name][column] for name in sorted(_COMPUTING if strict else _REACHING)]
    hit, miss = (_ALLOW, _REFUSE) if strict else (_REFUSE, _ALLOW)
    program = [_statement(0x20, 4), _jump(0x15, token, 1, 0), _statement(0x06, _KILL), _statement(0x20, 0)]
    program += [_jump(0x35, 0x40000000, 0, 1), _statement(0x06, _REFUSE)]  # the x32 calls have numbers of their own
    if not strict:  # its flags are out of a filter's sight; the C library then falls back to clone
        program += [_jump(0x15, _CLONE3[column], 0, 1), _statement(0x06, _UNKNOWN)]
    for number in numbers:
        program += [_jump(0x15, number, 0, 1), _statement(0x06, hit)]
    program.append(_statement(0x06, miss))
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    return bool(_libc.prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(header), 0, 0) == 0)


def _statement(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
