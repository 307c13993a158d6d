-- One index over a line's tasks in place of three that every start and every end had to rewrite.
-- A waiting or running task has no end, so that those of a status stand in the order of their
-- position, and ended ones in the order of their ends.
DROP INDEX task_live;
DROP INDEX task_history;
DROP INDEX attempt_running;
CREATE INDEX task_line ON task (manager, queue, status, ended, position);
