-- Pieces promised to an order. bucket -1: the row of `stock`. held: until held_until of a pending order; allocated: placed.
CREATE TABLE stock_reservation (
  order_id   BIGINT NOT NULL,
  variant_id BIGINT NOT NULL,
  bucket     SMALLINT NOT NULL DEFAULT -1,
  quantity   INT NOT NULL,
  state      ENUM('held','allocated') NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (order_id, variant_id, bucket),
  KEY stock_reservation_variant (variant_id, bucket),
  CONSTRAINT stock_reservation_quantity CHECK (quantity > 0)
);
