CREATE TABLE product_translation (
  product_id      BIGINT NOT NULL,
  locale          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name            VARCHAR(255) NOT NULL,
  description     TEXT NOT NULL,
  seo_title       VARCHAR(255) NOT NULL DEFAULT '',
  seo_description VARCHAR(512) NOT NULL DEFAULT '',
  PRIMARY KEY (product_id, locale),
  KEY product_translation_name (locale, name),
  CONSTRAINT product_translation_product FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE CASCADE
);
