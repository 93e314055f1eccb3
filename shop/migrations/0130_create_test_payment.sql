-- The books of the built-in test provider. It is somebody else's as far as the rest of the shop is concerned: no foreign keys lead
-- here or away. settles_at: when a payment that is being worked on becomes settles_to.
CREATE TABLE test_payment (
  reference    CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  opening_key  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  order_number VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  currency     CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount       BIGINT NOT NULL,
  state        ENUM('waiting','action_required','processing','authorized','captured','failed','voided') NOT NULL DEFAULT 'waiting',
  authorized   BIGINT NOT NULL DEFAULT 0,
  captured     BIGINT NOT NULL DEFAULT 0,
  refunded     BIGINT NOT NULL DEFAULT 0,
  card         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  failure_code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  locale       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL,
  return_url   VARCHAR(1000) NULL,
  settles_at   DATETIME(6) NULL,
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (reference),
  UNIQUE KEY test_payment_opening_key (opening_key),
  KEY test_payment_settles (settles_at),
  CONSTRAINT test_payment_amount_positive CHECK (amount > 0),
  CONSTRAINT test_payment_authorized_limit CHECK (authorized >= 0 AND authorized <= amount),
  CONSTRAINT test_payment_captured_limit CHECK (captured >= 0 AND captured <= authorized),
  CONSTRAINT test_payment_refunded_limit CHECK (refunded >= 0 AND refunded <= captured)
);
