-- Derived: one row for each published product in each category that it is in or under (0 = the whole catalogue)
-- and each currency that it has a price in. price is the lowest of its variants. Each sort order is an index.
CREATE TABLE listing (
  category_id  BIGINT NOT NULL,
  currency     CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  product_id   BIGINT NOT NULL,
  price        BIGINT NOT NULL,
  price_max    BIGINT NOT NULL,
  compare_at   BIGINT NULL,
  position     BIGINT NOT NULL,
  published_at DATETIME(6) NOT NULL,
  band         ENUM('in_stock','low','out') NOT NULL,
  PRIMARY KEY (category_id, currency, product_id),
  KEY listing_position (category_id, currency, position, product_id),
  KEY listing_price (category_id, currency, price, product_id),
  KEY listing_newest (category_id, currency, published_at, product_id),
  KEY listing_product (product_id)
);
