-- How far each edge has acknowledged the invalidation log.
CREATE TABLE purge_target (
  name         VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  acknowledged BIGINT NOT NULL,
  failures     BIGINT NOT NULL DEFAULT 0,
  last_error   VARCHAR(1024) NULL,
  seen_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (name)
);
