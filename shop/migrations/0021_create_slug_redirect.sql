-- Slugs that once were: they answer 301 to what they named.
CREATE TABLE slug_redirect (
  kind       ENUM('product','category','page') NOT NULL,
  slug       VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  target_id  BIGINT NOT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (kind, slug),
  KEY slug_redirect_target (kind, target_id)
);
