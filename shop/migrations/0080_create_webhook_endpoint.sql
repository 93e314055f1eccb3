-- secret is sealed with the shop's key. events: names, or "*".
CREATE TABLE webhook_endpoint (
  id         BIGINT NOT NULL AUTO_INCREMENT,
  url        VARCHAR(500) NOT NULL,
  secret     VARBINARY(255) NOT NULL,
  events     JSON NOT NULL,
  status     ENUM('active','paused','archived') NOT NULL DEFAULT 'active',
  version    BIGINT NOT NULL DEFAULT 1,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id)
);
