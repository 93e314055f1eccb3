-- rate in millionths: 190000 is 19 %.
CREATE TABLE tax_rate (
  zone_id      BIGINT NOT NULL,
  tax_category VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name         VARCHAR(64) NOT NULL,
  rate         INT NOT NULL,
  PRIMARY KEY (zone_id, tax_category),
  CONSTRAINT tax_rate_zone_exists FOREIGN KEY (zone_id) REFERENCES zone (id) ON DELETE CASCADE,
  CONSTRAINT tax_rate_range CHECK (rate BETWEEN 0 AND 1000000)
);
