-- What is sold. A product without options has one variant.
CREATE TABLE variant (
  id           BIGINT NOT NULL AUTO_INCREMENT,
  product_id   BIGINT NOT NULL,
  sku          VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  position     INT NOT NULL DEFAULT 0,
  status       ENUM('active','archived') NOT NULL DEFAULT 'active',
  barcode      VARCHAR(64) NOT NULL DEFAULT '',
  weight_grams BIGINT NULL,
  length_mm    BIGINT NULL,
  width_mm     BIGINT NULL,
  height_mm    BIGINT NULL,
  version      BIGINT NOT NULL DEFAULT 1,
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY variant_sku (sku),
  KEY variant_product (product_id, position, id),
  CONSTRAINT variant_product_exists FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE CASCADE,
  CONSTRAINT variant_weight_not_negative CHECK (weight_grams IS NULL OR weight_grams >= 0)
);
