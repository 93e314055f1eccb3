-- email is as it was typed, email_key the form by which addresses are the same. An erased customer keeps its row, so that
-- orders keep their owner, and loses everything that tells who it was.
CREATE TABLE customer (
  id             BIGINT NOT NULL AUTO_INCREMENT,
  public_id      CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  email          VARCHAR(254) NOT NULL,
  email_key      VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NULL,
  name           VARCHAR(190) NOT NULL DEFAULT '',
  locale         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  password_hash  VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  verified_at    DATETIME(6) NULL,
  totp_secret    VARBINARY(128) NULL,
  totp_enabled_at DATETIME(6) NULL,
  totp_last_step BIGINT NULL,
  disabled_at    DATETIME(6) NULL,
  erased_at      DATETIME(6) NULL,
  version        BIGINT NOT NULL DEFAULT 1,
  created_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY customer_public_id (public_id),
  UNIQUE KEY customer_email (email_key)
);
