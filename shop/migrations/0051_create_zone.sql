-- A part of the world: taxes and shipping methods are set for zones. Of the zones that fit an address the most exact counts.
CREATE TABLE zone (
  id                 BIGINT NOT NULL AUTO_INCREMENT,
  name               VARCHAR(100) NOT NULL,
  prices_include_tax BOOLEAN NOT NULL,
  version            BIGINT NOT NULL DEFAULT 1,
  created_at         DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY zone_name (name)
);
