-- amount and compare_at in minor units of the currency. Rows are never edited: a change ends the old row and
-- adds a new one, so the table is its own history. At any time the row that started last and has not ended counts.
CREATE TABLE price (
  id         BIGINT NOT NULL AUTO_INCREMENT,
  variant_id BIGINT NOT NULL,
  currency   CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount     BIGINT NOT NULL,
  compare_at BIGINT NULL,
  starts_at  DATETIME(6) NOT NULL,
  ends_at    DATETIME(6) NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY price_variant (variant_id, currency, starts_at),
  KEY price_starts (starts_at),
  KEY price_ends (ends_at),
  CONSTRAINT price_variant_exists FOREIGN KEY (variant_id) REFERENCES variant (id) ON DELETE CASCADE,
  CONSTRAINT price_amount_not_negative CHECK (amount >= 0),
  CONSTRAINT price_compare_at_not_negative CHECK (compare_at IS NULL OR compare_at >= 0),
  CONSTRAINT price_period CHECK (ends_at IS NULL OR ends_at >= starts_at)
);
