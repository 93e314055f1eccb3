-- parent_id is the truth of the tree; category_closure is derived from it.
-- product_count is derived too (published products in the subtree).
CREATE TABLE category (
  id            BIGINT NOT NULL AUTO_INCREMENT,
  parent_id     BIGINT NULL,
  slug          VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  status        ENUM('draft','active','archived') NOT NULL DEFAULT 'active',
  position      INT NOT NULL DEFAULT 0,
  media_hash    CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  product_count BIGINT NOT NULL DEFAULT 0,
  version       BIGINT NOT NULL DEFAULT 1,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY category_slug (slug),
  KEY category_parent (parent_id, position, id),
  CONSTRAINT category_parent_exists FOREIGN KEY (parent_id) REFERENCES category (id)
);
