-- archived answers 410; draft and not yet published answer 404. version is the ETag of the staff API.
CREATE TABLE product (
  id             BIGINT NOT NULL AUTO_INCREMENT,
  slug           VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  brand_id       BIGINT NULL,
  status         ENUM('draft','active','archived') NOT NULL DEFAULT 'draft',
  published_at   DATETIME(6) NULL,
  unpublished_at DATETIME(6) NULL,
  product_type   VARCHAR(190) NOT NULL DEFAULT '',
  tax_category   VARCHAR(64) NOT NULL DEFAULT 'standard',
  featured       INT NOT NULL DEFAULT 0,
  version        BIGINT NOT NULL DEFAULT 1,
  created_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at     DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY product_slug (slug),
  KEY product_brand (brand_id, id),
  KEY product_published (published_at),
  KEY product_unpublished (unpublished_at),
  KEY product_updated (updated_at, id),
  CONSTRAINT product_brand_exists FOREIGN KEY (brand_id) REFERENCES brand (id)
);
