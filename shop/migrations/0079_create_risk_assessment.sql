CREATE TABLE risk_assessment (
  id             BIGINT NOT NULL AUTO_INCREMENT,
  order_id       BIGINT NOT NULL,
  stage          ENUM('before_payment','after_authorization') NOT NULL,
  score          INT NOT NULL,
  outcome        ENUM('accept','review','refuse') NOT NULL,
  shadow_outcome ENUM('accept','review','refuse') NOT NULL,
  reasons        JSON NOT NULL,
  created_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY risk_assessment_order (order_id, id),
  CONSTRAINT risk_assessment_order_exists FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
);
