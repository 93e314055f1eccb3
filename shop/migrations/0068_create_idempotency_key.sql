-- One effect for each key: the row is committed with the effect (draft-ietf-httpapi-idempotency-key-header).
CREATE TABLE idempotency_key (
  scope        BINARY(32) NOT NULL,
  idempotency_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  fingerprint  BINARY(32) NOT NULL,
  state        ENUM('started','done') NOT NULL,
  locked_until DATETIME(6) NOT NULL,
  reference    BIGINT NULL,
  status       SMALLINT NULL,
  headers      JSON NULL,
  body         MEDIUMBLOB NULL,
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (scope, idempotency_key),
  KEY idempotency_key_created (created_at)
);
