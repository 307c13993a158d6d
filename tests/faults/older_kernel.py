"""A supervisor as on a kernel before 6.15: it is told no end of a process that is not its child."""

import fcntl
import sys
from typing import Any

from ltspec import alive
from ltspec.supervisor import main


class OlderKernel:
    """`fcntl` without the question to a pidfd (ENOTTY, as Linux 6.12 answers)."""

    def __getattr__(self, name: str) -> Any:
        return getattr(fcntl, name)

    def ioctl(self, *_: Any) -> int:
        raise OSError(25, "Inappropriate ioctl for device")


vars(alive)["fcntl"] = OlderKernel()
sys.exit(main.main())
