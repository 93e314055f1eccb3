-- How far each edge has acknowledged the invalidation log.
-- acknowledged is NULL until the edge has once been purged whole. repeated is the second cursor: every row is sent
-- once more some seconds after it was written, for what was being stored while it was sent the first time.
-- holder is the worker that talks to this edge at present; another takes over when held_until has passed.
CREATE TABLE purge_target (
  name         VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  acknowledged BIGINT NULL,
  repeated     BIGINT NOT NULL DEFAULT 0,
  failures     BIGINT NOT NULL DEFAULT 0,
  last_error   VARCHAR(1024) NULL,
  holder       CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  held_until   DATETIME(6) NULL,
  seen_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (name)
);
