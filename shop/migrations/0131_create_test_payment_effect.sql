-- What the test provider did, each idempotency key once. asked counts how often it was asked with the key.
CREATE TABLE test_payment_effect (
  id              BIGINT NOT NULL AUTO_INCREMENT,
  idempotency_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reference       CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind            ENUM('authorize','capture','void','refund') NOT NULL,
  amount          BIGINT NOT NULL,
  outcome         ENUM('succeeded','pending','failed') NOT NULL,
  failure_code    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  asked           INT NOT NULL DEFAULT 1,
  settles_at      DATETIME(6) NULL,
  created_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY test_payment_effect_key (idempotency_key),
  KEY test_payment_effect_reference (reference, id),
  KEY test_payment_effect_settles (settles_at)
);
