"""The last step before a child becomes another program: it shall not outlive us, nor run Postgres as root.

Run as `python -I -S launch.py PARENT SIGNAL USER PROGRAM [ARGUMENT …]`. On Linux the kernel sends the child
SIGNAL when its parent (a pid) is gone, kill -9 included. Root gives a USER (`uid:gid`) to become.
"""

import ctypes
import os
import sys

# <linux/prctl.h> and <linux/capability.h>
SET_DEATH_SIGNAL, SET_SECURE_BITS, AMBIENT, AMBIENT_RAISE = 1, 28, 47, 2
NO_SETUID_FIXUP = 1 << 2
CAPABILITIES_VERSION_3 = 0x20080522
DAC_OVERRIDE = 1


def main(parent: str, death_signal: str, user: str, *program: str) -> None:
    if user:
        become(*(int(number) for number in user.split(":")))
    if sys.platform == "linux":
        # After `become`: the kernel forgets the wish when the user changes.
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit("the parent died before its child had started")
    os.execv(program[0], program)  # noqa: S606, this is what it is for


def become(uid: int, gid: int) -> None:
    """Give up root for `uid`, but still pass through folders closed to it.

    A checkout below /root is closed to anybody else: without this one capability the user could not even
    reach Postgres' program. Where the kernel does not allow it, or is not Linux, open folders still work.
    """
    libc = ctypes.CDLL(None)
    # Not PR_SET_KEEPCAPS: access(2), by which Postgres looks for its programs, would not heed the capability.
    keeps = sys.platform == "linux" and libc.prctl(SET_SECURE_BITS, NO_SETUID_FIXUP, 0, 0, 0) == 0
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if keeps:
        header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION_3, 0)
        only = 1 << DAC_OVERRIDE
        sets = (ctypes.c_uint32 * 6)(
            only, only, only, 0, 0, 0
        )  # effective, permitted, inheritable; low, high
        if libc.capset(header, sets) != 0:
            sys.exit("root's capabilities could not be given up")
        libc.prctl(AMBIENT, AMBIENT_RAISE, DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
