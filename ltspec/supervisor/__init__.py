"""The on-demand process that starts and watches tasks, and its guardian (DESIGN 5).

    guardian    the tiny parent: holds the lock and the socket, restarts a dead supervisor
    door        who may supervise, and where it is reached: the lock and the socket
    child       one supervisor as its guardian sees it
    orphans     whose zombies the guardian keeps
    brake       how soon a dead supervisor is followed by the next one
    main        the supervisor's start: descriptors, limits, catalogue, then the loop
    loop        one step with the time as an argument: messages, timers, turns, what is left to do
    agenda      what the loop has to do next, and the trouble that it waits out
    turns       ends and starts: one commit for the end of an attempt and the start of the next
    starts      whose turn it is in the lines, and its start
    ahead       the next starts of busy lines, made ready while the task before them runs
    quiet       whether anybody else has written: while nobody has, a turn need not ask
    journal     the newest starts, until the catalogue on the disk has them
    running     the attempts that run now, in memory
    starting    a ready task becomes a process
    ending      which attempts ltspec ends itself, and when: timeouts, requests
    stopping    the signal ladder, and what a task leaves behind
    publishing  following up what changed in the catalogue: PID-files, requests
    recovery    after a crash or a reboot: who still runs, and what became of the others
    talk        the sockets: hello, sync, watch, finish
    control     the connection to the guardian
    errands     short-lived helpers: the report sender, and
    hooks       the runner of `on_finish` commands
    retention   what keeps history within its limits
    scheduling  pure decisions: whether and when to retry
"""
