"""A supervisor that says it is of an old version, as long as the file that OLDER names is there."""

import os
import sys

from ltspec.supervisor import main, talk

if os.path.exists(os.environ["OLDER"]):
    vars(talk)["__version__"] = "0.0.9"
sys.exit(main.main())
