CREATE TABLE cart_coupon (
  cart_id    BIGINT NOT NULL,
  code       VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (cart_id, code),
  CONSTRAINT cart_coupon_cart_exists FOREIGN KEY (cart_id) REFERENCES cart (id) ON DELETE CASCADE
);
