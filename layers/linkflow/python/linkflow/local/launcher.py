"""The few lines a server's process runs before it becomes the server. Standard library only: run with ``-I -S``.

    python -I -S launcher.py PARENT SIGNAL DIRECTORY COMMAND…

It asks the kernel for SIGNAL when PARENT dies, so that a server never outlives the program that owns it. With a
DIRECTORY it also stops being root, which Postgres insists on, in one of two ways:

1. a user namespace in which our root is called 65534: files stay root's, and folders closed to others stay usable;
2. where namespaces are forbidden (most containers), the real user 65534, given DIRECTORY and, so that it can come
   through closed folders, the one capability to pass file permissions that root has anyway.

It is a program and not a `preexec_fn`: code between fork and exec may deadlock when the parent has threads.
"""

from __future__ import annotations

import ctypes
import os
import sys

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    parent, number, directory, *command = arguments
    if directory and os.geteuid() == 0:
        leave_root(directory, command[0])
    if sys.platform == "linux":  # after the change of user, which would clear the request
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the request was made
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - that is the point


def leave_root(directory: str, program: str) -> None:
    """Become a user that Postgres accepts, and the owner of `directory`."""
    give(directory, os.geteuid())
    if can_enter_namespace(directory, program):
        enter_namespace()
    else:
        give(directory, NOBODY)
        become_nobody()


def can_enter_namespace(directory: str, program: str) -> bool:
    """Try it in a child, for there is no way back. Another user's closed home is out of a namespace's reach."""
    child = os.fork()
    if child == 0:
        works = False
        try:
            enter_namespace()
            works = os.access(directory, os.R_OK | os.W_OK | os.X_OK) and os.access(program, os.X_OK)
        finally:
            os._exit(0 if works else 1)
    return os.waitpid(child, 0)[1] == 0


def enter_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {user} 1"),
        ("gid_map", f"{NOBODY} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def give(directory: str, owner: int) -> None:
    """Hand over a folder with all in it, the folder itself last: a broken hand-over starts again."""
    if os.stat(directory).st_uid == owner:
        return
    for folder, folders, files in os.walk(directory, topdown=False):
        for name in (*folders, *files):
            os.lchown(os.path.join(folder, name), owner, -1)
    os.lchown(directory, owner, -1)


def become_nobody() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux":
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    if sys.platform == "linux":  # refused without the capability: then the folders must be open, as for anyone
        bit = 1 << CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; low word, high word
        if libc.capset(ctypes.byref(header), ctypes.byref(sets)) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
