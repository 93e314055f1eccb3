-- hash is the SHA-256 of the original's bytes: the address of the picture for ever.
CREATE TABLE media (
  hash         CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  content_type VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  width        INT NOT NULL,
  height       INT NOT NULL,
  size_bytes   BIGINT NOT NULL,
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (hash)
);
