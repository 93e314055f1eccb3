CREATE TABLE content_page (
  id           BIGINT NOT NULL AUTO_INCREMENT,
  kind         ENUM('page','post') NOT NULL DEFAULT 'page',
  slug         VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  status       ENUM('draft','active','archived') NOT NULL DEFAULT 'draft',
  published_at DATETIME(6) NULL,
  version      BIGINT NOT NULL DEFAULT 1,
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY content_page_slug (kind, slug),
  KEY content_page_published (kind, status, published_at, id)
);
