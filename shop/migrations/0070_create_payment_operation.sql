-- Each thing asked of a provider, under the idempotency key it was asked with. Amounts of operations that are not failed count
-- against the payment from the moment they are started, so that two cannot spend the same money. is_last: this capture lets go of
-- what it does not take; kept, because what is asked again must be the same.
CREATE TABLE payment_operation (
  id            BIGINT NOT NULL AUTO_INCREMENT,
  public_id     CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  payment_id    BIGINT NOT NULL,
  kind          ENUM('authorize','capture','void','refund') NOT NULL,
  state         ENUM('started','succeeded','failed','unknown') NOT NULL,
  amount        BIGINT NOT NULL,
  is_last       BOOLEAN NOT NULL DEFAULT FALSE,
  reference     VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NULL,
  return_id     BIGINT NULL,
  reason        VARCHAR(190) NOT NULL DEFAULT '',
  actor         VARCHAR(190) NOT NULL,
  failure_code  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  next_check_at DATETIME(6) NULL,
  checks        INT NOT NULL DEFAULT 0,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY payment_operation_public_id (public_id),
  KEY payment_operation_payment (payment_id, id),
  KEY payment_operation_next_check (next_check_at),
  CONSTRAINT payment_operation_payment_exists FOREIGN KEY (payment_id) REFERENCES payment (id),
  CONSTRAINT payment_operation_amount_not_negative CHECK (amount >= 0)
);
