"""A program that becomes another one, which ends when the process that started it has gone.

Run as `python child.py PARENT_PID PROGRAM ARGUMENT…`, for the kernel tells nobody of a parent's end
by itself, least of all by kill -9.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Runs the program; its exit code is ours."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == parent:  # else it went before we had asked
            os.execvp(command[0], command)  # noqa: S606 - the program we were given
    else:
        sys.exit(_watch(parent, command))


def _watch(parent: int, command: list[str]) -> int:
    """Runs a program until it or the parent ends: for systems whose kernel does not do it."""
    program = subprocess.Popen(command)  # noqa: S603 - as above
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    while program.poll() is None:
        if os.getppid() != parent:
            program.terminate()
        time.sleep(0.5)
    return program.returncode


if __name__ == "__main__":
    main()
