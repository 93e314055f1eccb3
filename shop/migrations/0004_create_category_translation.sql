CREATE TABLE category_translation (
  category_id     BIGINT NOT NULL,
  locale          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name            VARCHAR(190) NOT NULL,
  description     TEXT NOT NULL,
  seo_title       VARCHAR(255) NOT NULL DEFAULT '',
  seo_description VARCHAR(512) NOT NULL DEFAULT '',
  PRIMARY KEY (category_id, locale),
  KEY category_translation_name (locale, name),
  CONSTRAINT category_translation_category FOREIGN KEY (category_id) REFERENCES category (id) ON DELETE CASCADE
);
