"""The on-demand process that starts and watches tasks, and its guardian (DESIGN 5).

    guardian    the tiny parent: holds the lock and the sockets, restarts a dead supervisor
    main        the supervisor's start: descriptors, limits, catalogue, then the loop
    loop        one step with the time as an argument: ends, timers, messages, starts
    running     the attempts that run now, in memory
    starting    a ready task becomes a process
    stopping    timeout and stop: the signal ladder, and what a task leaves behind
    publishing  following up what changed in the catalogue: PID-files, requests
    recovery    after a crash or a reboot: who still runs, and what became of the others
    talk        the sockets: hello, sync, watch, finish
    scheduling  pure decisions: whether and when to retry
"""
