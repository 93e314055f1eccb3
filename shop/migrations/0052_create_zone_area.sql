-- country is ISO 3166-1 alpha-2, or '*' for every country; region is the part after the hyphen of ISO 3166-2, '' for all of it.
CREATE TABLE zone_area (
  country CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  region  VARCHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  zone_id BIGINT NOT NULL,
  PRIMARY KEY (country, region),
  KEY zone_area_zone (zone_id),
  CONSTRAINT zone_area_zone_exists FOREIGN KEY (zone_id) REFERENCES zone (id) ON DELETE CASCADE
);
