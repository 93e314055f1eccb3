CREATE TABLE staff_role (
  id         BIGINT NOT NULL AUTO_INCREMENT,
  name       VARCHAR(64) NOT NULL,
  scopes     JSON NOT NULL,
  version    BIGINT NOT NULL DEFAULT 1,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY staff_role_name (name)
);
