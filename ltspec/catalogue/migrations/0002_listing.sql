-- What `list` and `queue list` ask: counts and pages without reading the rows of 100,000 tasks.
CREATE INDEX task_history ON task (manager, queue, status, ended);
CREATE INDEX task_held ON task (manager, queue, position) WHERE status = 'QUE' AND held <> 0;
