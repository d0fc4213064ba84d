"""Exec a program that the kernel kills when its parent dies (Linux).

A script, `python -I -S die_with_parent.py PARENT_PID PROGRAM ARGUMENT...`, and not a
`preexec_fn`: code between fork and exec may deadlock when the parent has threads, and Kafka's
clients have.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # survives exec


def main(parent: int, argv: list[str]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
