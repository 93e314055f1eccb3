-- One row for each promotion that an order holds; coupon_code '' for those without. customer_key: whose limit it counts for.
CREATE TABLE promotion_use (
  order_id     BIGINT NOT NULL,
  promotion_id BIGINT NOT NULL,
  coupon_code  VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL DEFAULT '',
  customer_key BINARY(32) NOT NULL,
  released_at  DATETIME(6) NULL,
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (order_id, promotion_id),
  KEY promotion_use_promotion (promotion_id),
  KEY promotion_use_coupon (coupon_code)
);
