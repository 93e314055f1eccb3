-- The stock of a variant that many buy at once, spread over rows so that buyers do not queue for one lock. What can be
-- sold of a variant is what its row of `stock` and all its buckets have together.
CREATE TABLE stock_bucket (
  variant_id BIGINT NOT NULL,
  bucket     SMALLINT NOT NULL,
  on_hand    BIGINT NOT NULL,
  reserved   BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (variant_id, bucket),
  CONSTRAINT stock_bucket_reserved_not_negative CHECK (reserved >= 0),
  CONSTRAINT stock_bucket_not_oversold CHECK (on_hand >= reserved)
);
