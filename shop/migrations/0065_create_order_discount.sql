CREATE TABLE order_discount (
  order_id     BIGINT NOT NULL,
  promotion_id BIGINT NOT NULL,
  coupon_code  VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL DEFAULT '',
  label        VARCHAR(190) NOT NULL,
  amount       BIGINT NOT NULL,
  PRIMARY KEY (order_id, promotion_id),
  CONSTRAINT order_discount_order_exists FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
);
