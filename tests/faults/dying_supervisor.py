"""A supervisor that kills itself the first time it comes to the step named in its environment."""

import os
import signal
import sys

from ltspec.supervisor import main, seam


def reached(step: str) -> None:
    mark = os.environ["FAULT_MARK"]
    if step == os.environ["FAULT_STEP"] and not os.path.exists(mark):
        os.close(os.open(mark, os.O_CREAT | os.O_WRONLY, 0o600))
        os.kill(os.getpid(), signal.SIGKILL)


seam.reached = reached
sys.exit(main.main())
