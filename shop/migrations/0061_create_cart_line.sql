-- seen_amount: the price that the shopper was shown last, so that a difference can be told.
CREATE TABLE cart_line (
  cart_id     BIGINT NOT NULL,
  variant_id  BIGINT NOT NULL,
  quantity    INT NOT NULL,
  seen_amount BIGINT NULL,
  created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (cart_id, variant_id),
  CONSTRAINT cart_line_cart_exists FOREIGN KEY (cart_id) REFERENCES cart (id) ON DELETE CASCADE,
  CONSTRAINT cart_line_quantity CHECK (quantity BETWEEN 1 AND 9999)
);
