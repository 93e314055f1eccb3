-- The log that all caches judge their entries by. gtid is a GTID set that contains the change;
-- changed_at is when the oldest change of this row was written.
CREATE TABLE invalidation (
  sequence   BIGINT NOT NULL,
  gtid       TEXT NOT NULL,
  tags       JSON NOT NULL,
  soft       BOOLEAN NOT NULL,
  changed_at DATETIME(6) NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (sequence),
  KEY invalidation_created (created_at)
);
