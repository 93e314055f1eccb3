CREATE TABLE order_return (
  id          BIGINT NOT NULL AUTO_INCREMENT,
  public_id   CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  order_id    BIGINT NOT NULL,
  state       ENUM('requested','approved','rejected','received','refunded') NOT NULL,
  reason      VARCHAR(500) NOT NULL DEFAULT '',
  refund      BIGINT NOT NULL DEFAULT 0,
  version     BIGINT NOT NULL DEFAULT 1,
  created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY order_return_public_id (public_id),
  KEY order_return_order (order_id, id),
  KEY order_return_state (state, id),
  CONSTRAINT order_return_order_exists FOREIGN KEY (order_id) REFERENCES orders (id)
);
