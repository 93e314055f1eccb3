-- How far an import of a certain file with certain options has been committed, so that it can go on from there.
CREATE TABLE import_job (
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  file_name   VARCHAR(255) NOT NULL,
  format      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  records     BIGINT NOT NULL DEFAULT 0,
  created     BIGINT NOT NULL DEFAULT 0,
  updated     BIGINT NOT NULL DEFAULT 0,
  unchanged   BIGINT NOT NULL DEFAULT 0,
  refused     BIGINT NOT NULL DEFAULT 0,
  started_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  finished_at DATETIME(6) NULL,
  PRIMARY KEY (fingerprint)
);
