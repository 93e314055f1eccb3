CREATE TABLE staff_session (
  id          BIGINT NOT NULL AUTO_INCREMENT,
  token_hash  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  staff_id    BIGINT NOT NULL,
  created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  seen_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  expires_at  DATETIME(6) NOT NULL,
  revoked_at  DATETIME(6) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY staff_session_token (token_hash),
  KEY staff_session_staff (staff_id, id),
  KEY staff_session_expires (expires_at),
  CONSTRAINT staff_session_staff_exists FOREIGN KEY (staff_id) REFERENCES staff_user (id) ON DELETE CASCADE
);
