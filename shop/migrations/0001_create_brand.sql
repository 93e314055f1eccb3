-- Brands are shared by products and are a facet of every listing.
CREATE TABLE brand (
  id         BIGINT NOT NULL AUTO_INCREMENT,
  slug       VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  name       VARCHAR(190) NOT NULL,
  version    BIGINT NOT NULL DEFAULT 1,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY brand_slug (slug),
  KEY brand_name (name)
);
