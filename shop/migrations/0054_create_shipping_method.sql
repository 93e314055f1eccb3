-- carrier 'flat' has one rate for each currency, 'table' a rate for each band of weight.
CREATE TABLE shipping_method (
  id           BIGINT NOT NULL AUTO_INCREMENT,
  code         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  zone_id      BIGINT NOT NULL,
  carrier      ENUM('flat','table') NOT NULL,
  status       ENUM('active','archived') NOT NULL DEFAULT 'active',
  tax_category VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL DEFAULT 'standard',
  names        JSON NOT NULL,
  days_min     SMALLINT NOT NULL,
  days_max     SMALLINT NOT NULL,
  position     INT NOT NULL DEFAULT 0,
  version      BIGINT NOT NULL DEFAULT 1,
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY shipping_method_code (code),
  KEY shipping_method_zone (zone_id, status, position),
  CONSTRAINT shipping_method_zone_exists FOREIGN KEY (zone_id) REFERENCES zone (id),
  CONSTRAINT shipping_method_days CHECK (days_min >= 0 AND days_max >= days_min)
);
