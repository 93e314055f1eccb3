-- Links that were mailed: to verify an address, to choose a new password, to move an account to another address. Each works once,
-- for the address that it was mailed to.
CREATE TABLE customer_link (
  token_hash  CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  customer_id BIGINT NOT NULL,
  purpose     ENUM('verify','reset','email') NOT NULL,
  email       VARCHAR(254) NOT NULL,
  email_key   VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  expires_at  DATETIME(6) NOT NULL,
  used_at     DATETIME(6) NULL,
  PRIMARY KEY (token_hash),
  KEY customer_link_customer (customer_id, purpose),
  KEY customer_link_expires (expires_at),
  CONSTRAINT customer_link_customer_exists FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE CASCADE
);
