-- rate in millionths: 190000 is 19 %. tax_category: that of product and shipping_method; one without a row is not taxed in the zone.
CREATE TABLE tax_rate (
  zone_id      BIGINT NOT NULL,
  tax_category VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  name         VARCHAR(64) NOT NULL,
  rate         INT NOT NULL,
  PRIMARY KEY (zone_id, tax_category),
  CONSTRAINT tax_rate_zone_exists FOREIGN KEY (zone_id) REFERENCES zone (id) ON DELETE CASCADE,
  CONSTRAINT tax_rate_range CHECK (rate BETWEEN 0 AND 1000000)
);
