-- The rate of the heaviest band that starts at or below the weight counts, if max_grams allows it. free_from: subtotal in minor
-- units from which this method costs nothing.
CREATE TABLE shipping_rate (
  method_id  BIGINT NOT NULL,
  currency   CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  from_grams BIGINT NOT NULL DEFAULT 0,
  max_grams  BIGINT NULL,
  amount     BIGINT NOT NULL,
  free_from  BIGINT NULL,
  PRIMARY KEY (method_id, currency, from_grams),
  CONSTRAINT shipping_rate_method_exists FOREIGN KEY (method_id) REFERENCES shipping_method (id) ON DELETE CASCADE,
  CONSTRAINT shipping_rate_amount_not_negative CHECK (amount >= 0),
  CONSTRAINT shipping_rate_weights CHECK (from_grams >= 0 AND (max_grams IS NULL OR max_grams >= from_grams))
);
