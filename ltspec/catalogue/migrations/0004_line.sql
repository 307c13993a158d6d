-- One index over a line's tasks in place of three that every start and every end had to rewrite.
-- A waiting or running task has no end, so that those of a status stand in the order of their
-- position, and ended ones in the order of their ends.
DROP INDEX task_live;
DROP INDEX task_history;
DROP INDEX attempt_running;
CREATE INDEX task_line ON task (manager, queue, status, ended, position);
-- What is asked of tasks is found without a look at what else has changed.
CREATE INDEX task_request ON task (key) WHERE request <> '';
