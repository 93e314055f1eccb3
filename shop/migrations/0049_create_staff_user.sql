CREATE TABLE staff_user (
  id             BIGINT NOT NULL AUTO_INCREMENT,
  email          VARCHAR(254) NOT NULL,
  email_key      VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  name           VARCHAR(190) NOT NULL,
  role_id        BIGINT NOT NULL,
  password_hash  VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  totp_secret    VARBINARY(128) NULL,
  totp_enabled_at DATETIME(6) NULL,
  totp_last_step BIGINT NULL,
  disabled_at    DATETIME(6) NULL,
  version        BIGINT NOT NULL DEFAULT 1,
  created_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY staff_user_email (email_key),
  KEY staff_user_role (role_id),
  CONSTRAINT staff_user_role_exists FOREIGN KEY (role_id) REFERENCES staff_role (id)
);
