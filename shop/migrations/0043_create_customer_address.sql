CREATE TABLE customer_address (
  id          BIGINT NOT NULL AUTO_INCREMENT,
  customer_id BIGINT NOT NULL,
  address     JSON NOT NULL,
  is_default  BOOLEAN NOT NULL DEFAULT FALSE,
  created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY customer_address_customer (customer_id, id),
  CONSTRAINT customer_address_customer_exists FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE CASCADE
);
