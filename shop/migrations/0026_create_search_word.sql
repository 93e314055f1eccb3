-- Derived: search documents of languages that put spaces between words.
CREATE TABLE search_word (
  FTS_DOC_ID BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  product_id BIGINT NOT NULL,
  locale     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title      VARCHAR(255) NOT NULL,
  body       TEXT NOT NULL,
  PRIMARY KEY (FTS_DOC_ID),
  UNIQUE KEY search_word_product (product_id, locale),
  FULLTEXT KEY search_word_title (title),
  FULLTEXT KEY search_word_text (title, body)
);
