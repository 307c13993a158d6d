-- A catalogue of version 1, as ltspec wrote it then. Its promise: it is opened for ever.
BEGIN TRANSACTION;
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
INSERT INTO "attempt" VALUES(1,1,'00000000000000000000000000000000',4194000,'11111111-2222-3333-4444-555555555555',12345,1795000000.0,1000.0,1795000000.0,'OK','succeeded','',NULL,NULL,'',NULL,'','','');
INSERT INTO "attempt" VALUES(2,1,'00000000000000000000000000000001',4194001,'11111111-2222-3333-4444-555555555555',12345,1795000000.0,1000.0,1795000000.0,'ERR','exit','exit code 1',1,NULL,'',NULL,'','','');
CREATE TABLE need (
  task INTEGER NOT NULL REFERENCES task (key) ON DELETE CASCADE,
  needed INTEGER NOT NULL REFERENCES task (key) ON DELETE CASCADE,
  want TEXT NOT NULL CHECK (want IN ('ok', 'any', 'err')),
  PRIMARY KEY (task, needed)
) WITHOUT ROWID;
CREATE TABLE queue (
  manager TEXT NOT NULL,
  name TEXT NOT NULL,
  slots INTEGER NOT NULL DEFAULT 1 CHECK (slots >= 0),
  paused INTEGER NOT NULL DEFAULT 0,
  draining INTEGER NOT NULL DEFAULT 0,
  on_reboot TEXT NOT NULL DEFAULT 'resume' CHECK (on_reboot IN ('resume', 'hold', 'fail')),
  PRIMARY KEY (manager, name)
) WITHOUT ROWID;
INSERT INTO "queue" VALUES('ltspec','q',1,0,0,'resume');
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
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "setting" VALUES('boot_id','11111111-2222-3333-4444-555555555555');
INSERT INTO "setting" VALUES('run_dir','@RUN@');
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
INSERT INTO "task" VALUES(1,'ltspec','','done','done','','OK','succeeded','',0,1,0,NULL,NULL,NULL,1,0,1795000000.0,1795000000.0,1795000000.0,'','','h1','{"id":"done","command":["/bin/true"],"hash":"h1"}',NULL,'',0,0);
INSERT INTO "task" VALUES(2,'ltspec','','failed','failed','','ERR','exit','exit code 1',0,2,0,NULL,NULL,NULL,1,0,1795000000.0,1795000000.0,1795000000.0,'','','h2','{"id":"failed","command":["/bin/false"],"hash":"h2"}',NULL,'',0,0);
INSERT INTO "task" VALUES(3,'ltspec','q','waiting','waiting','','QUE',NULL,'',0,3,0,NULL,NULL,NULL,0,0,1795000000.0,NULL,NULL,'/srv/jobs/old.yml','','h3','{"id":"waiting","queue":"q","command":["/bin/sh","-c","echo waiting >> @RAN@"],"source":"/srv/jobs/old.yml","hash":"h3"}',NULL,'',0,0);
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
CREATE INDEX need_needed ON need (needed);
CREATE INDEX attempt_running ON attempt (task) WHERE ended IS NULL;
CREATE INDEX report_pending ON report (next_try) WHERE state = 'pending';
CREATE INDEX report_task ON report (task);
COMMIT;
PRAGMA application_id=1280594768;
PRAGMA user_version=1;
