"""The catalogue: the SQLite database that holds tasks, attempts, queues and reports. The truth.

The only SQL of the program is in this package, one method a question. `store` opens and migrates,
`enqueue` takes tasks in, `lifecycle` starts and ends them, `changes` tells what is to be followed
up, `listing` answers, `outbox` holds the reports. Writing transactions are BEGIN IMMEDIATE with
compare and write inside (DESIGN 5).
"""

from ltspec.catalogue.store import Store, open_store

__all__ = ["Store", "open_store"]
