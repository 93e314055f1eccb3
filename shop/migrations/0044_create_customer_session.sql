-- Only a SHA-256 of the token is kept: tokens are 256 random bits. stage 'totp' waits for the second factor and opens nothing else.
CREATE TABLE customer_session (
  id           BIGINT NOT NULL AUTO_INCREMENT,
  token_hash   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  customer_id  BIGINT NOT NULL,
  stage        ENUM('full','totp') NOT NULL,
  user_agent   VARCHAR(255) NOT NULL DEFAULT '',
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  seen_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  confirmed_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  expires_at   DATETIME(6) NOT NULL,
  revoked_at   DATETIME(6) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY customer_session_token (token_hash),
  KEY customer_session_customer (customer_id, id),
  KEY customer_session_expires (expires_at),
  CONSTRAINT customer_session_customer_exists FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE CASCADE
);
