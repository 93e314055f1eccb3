CREATE TABLE risk_rule (
  id         BIGINT NOT NULL AUTO_INCREMENT,
  name       VARCHAR(100) NOT NULL,
  kind       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  parameters JSON NOT NULL,
  weight     INT NOT NULL,
  mode       ENUM('off','shadow','active') NOT NULL,
  version    BIGINT NOT NULL DEFAULT 1,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY risk_rule_name (name),
  CONSTRAINT risk_rule_weight CHECK (weight BETWEEN -1000 AND 1000)
);
