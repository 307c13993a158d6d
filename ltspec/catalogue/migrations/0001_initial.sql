-- The catalogue's first form. Times: seconds since 1970 (REAL); *_boot: seconds of the boot clock.

CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- A line of tasks. The one with the empty name holds a manager's common tasks; it is no queue for
-- people and is listed nowhere.
CREATE TABLE queue (
  manager TEXT NOT NULL,
  name TEXT NOT NULL,
  slots INTEGER NOT NULL DEFAULT 1 CHECK (slots >= 0),
  paused INTEGER NOT NULL DEFAULT 0,
  draining INTEGER NOT NULL DEFAULT 0,
  on_reboot TEXT NOT NULL DEFAULT 'resume' CHECK (on_reboot IN ('resume', 'hold', 'fail')),
  PRIMARY KEY (manager, name)
) WITHOUT ROWID;

-- One row a task. `held` is a set of bits (needs, time): 0 is ready. `file` is the PID-file's name.
-- `dirty` counts changes that the supervisor has not followed up yet (PID-file, `request`); it goes
-- back to 0 only where it still has the value that was followed up. `made` 1: its PID-file is ours.
CREATE TABLE task (
  key INTEGER PRIMARY KEY,
  manager TEXT NOT NULL,
  queue TEXT NOT NULL,
  id TEXT NOT NULL,
  file TEXT NOT NULL,
  name TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL CHECK (status IN ('QUE', 'RUN', 'OK', 'ERR')),
  outcome TEXT,
  detail TEXT NOT NULL DEFAULT '',
  priority INTEGER NOT NULL DEFAULT 0,
  position INTEGER NOT NULL,
  held INTEGER NOT NULL DEFAULT 0,
  due REAL,
  due_boot REAL,
  boot_id TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  retried INTEGER NOT NULL DEFAULT 0,
  accepted REAL NOT NULL,
  started REAL,
  ended REAL,
  source TEXT NOT NULL DEFAULT '',
  tags TEXT NOT NULL DEFAULT '',
  hash TEXT NOT NULL,
  spec TEXT NOT NULL,
  next_spec TEXT,
  request TEXT NOT NULL DEFAULT '',
  dirty INTEGER NOT NULL DEFAULT 1,
  made INTEGER NOT NULL DEFAULT 0,
  UNIQUE (manager, queue, id),
  UNIQUE (manager, queue, file)
);
CREATE INDEX task_ready ON task (manager, queue, priority DESC, position)
  WHERE status = 'QUE' AND held = 0;
CREATE INDEX task_live ON task (manager, queue, status, position) WHERE status IN ('QUE', 'RUN');
CREATE INDEX task_dirty ON task (key) WHERE dirty > 0;
CREATE INDEX task_due ON task (due) WHERE status = 'QUE' AND held & 2 AND due_boot IS NULL;
CREATE INDEX task_due_boot ON task (due_boot) WHERE status = 'QUE' AND held & 2;
CREATE INDEX task_position ON task (position);
CREATE INDEX task_ended ON task (ended) WHERE ended IS NOT NULL;
CREATE INDEX task_source ON task (source) WHERE source <> '';
CREATE INDEX task_id ON task (id);

CREATE TABLE need (
  task INTEGER NOT NULL REFERENCES task (key) ON DELETE CASCADE,
  needed INTEGER NOT NULL REFERENCES task (key) ON DELETE CASCADE,
  want TEXT NOT NULL CHECK (want IN ('ok', 'any', 'err')),
  PRIMARY KEY (task, needed)
) WITHOUT ROWID;
CREATE INDEX need_needed ON need (needed);

CREATE TABLE attempt (
  task INTEGER NOT NULL REFERENCES task (key) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  token TEXT NOT NULL,
  pid INTEGER,
  boot_id TEXT NOT NULL,
  start_ticks INTEGER,
  started REAL NOT NULL,
  started_boot REAL NOT NULL,
  ended REAL,
  status TEXT,
  outcome TEXT,
  detail TEXT NOT NULL DEFAULT '',
  code INTEGER,
  signal INTEGER,
  ended_by TEXT NOT NULL DEFAULT '',
  finish_ok INTEGER,
  finish_msg TEXT NOT NULL DEFAULT '',
  survivors TEXT NOT NULL DEFAULT '',
  hook TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (task, number)
) WITHOUT ROWID;
CREATE INDEX attempt_running ON attempt (task) WHERE ended IS NULL;

CREATE TABLE report (
  key INTEGER PRIMARY KEY,
  task INTEGER NOT NULL REFERENCES task (key) ON DELETE CASCADE,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'sent', 'failed', 'superseded')),
  tries INTEGER NOT NULL DEFAULT 0,
  refused INTEGER NOT NULL DEFAULT 0,
  created REAL NOT NULL,
  next_try REAL NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('ok', 'err')),
  errmsg TEXT NOT NULL DEFAULT '',
  answer TEXT NOT NULL DEFAULT ''
);
CREATE INDEX report_pending ON report (next_try) WHERE state = 'pending';
CREATE INDEX report_task ON report (task);
