-- The `on_finish` commands of final ends: written with the end, run by the hook runner. `facts` is
-- the environment that tells them of the end (JSON); times as in 0001.
CREATE TABLE hook (
  key INTEGER PRIMARY KEY,
  task INTEGER NOT NULL REFERENCES task (key) ON DELETE CASCADE,
  attempt INTEGER NOT NULL,
  moment TEXT NOT NULL CHECK (moment IN ('success', 'failure', 'always')),
  command TEXT NOT NULL,
  facts TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'running', 'done', 'failed')),
  created REAL NOT NULL,
  started REAL,
  ended REAL,
  detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX hook_open ON hook (created) WHERE state IN ('pending', 'running');
CREATE INDEX hook_task ON hook (task);
ALTER TABLE attempt DROP COLUMN hook;
