CREATE TABLE recovery_code (
  customer_id BIGINT NOT NULL,
  code_hash   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  used_at     DATETIME(6) NULL,
  PRIMARY KEY (customer_id, code_hash),
  CONSTRAINT recovery_code_customer_exists FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE CASCADE
);
