"""A supervisor whose journal is full after three starts: it begins anew all the time."""

import sys

from ltspec.supervisor import journal, main

vars(journal).update(SLOTS=3, _SIZE=4 * 256)
sys.exit(main.main())
