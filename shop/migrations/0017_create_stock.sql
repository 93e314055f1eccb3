-- available = on_hand - reserved (+ backorder_limit when the item may be ordered ahead).
CREATE TABLE stock (
  variant_id      BIGINT NOT NULL,
  tracked         BOOLEAN NOT NULL DEFAULT TRUE,
  on_hand         BIGINT NOT NULL DEFAULT 0,
  reserved        BIGINT NOT NULL DEFAULT 0,
  backorder_limit BIGINT NOT NULL DEFAULT 0,
  low_threshold   BIGINT NOT NULL DEFAULT 5,
  version         BIGINT NOT NULL DEFAULT 1,
  updated_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (variant_id),
  CONSTRAINT stock_variant_exists FOREIGN KEY (variant_id) REFERENCES variant (id) ON DELETE CASCADE,
  CONSTRAINT stock_reserved_not_negative CHECK (reserved >= 0),
  CONSTRAINT stock_backorder_not_negative CHECK (backorder_limit >= 0),
  CONSTRAINT stock_not_oversold CHECK (tracked = FALSE OR on_hand + backorder_limit >= reserved)
);
