-- Derived: search documents of languages that do not put spaces between words.
CREATE TABLE search_ngram (
  FTS_DOC_ID BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  product_id BIGINT NOT NULL,
  locale     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title      VARCHAR(255) NOT NULL,
  body       TEXT NOT NULL,
  PRIMARY KEY (FTS_DOC_ID),
  UNIQUE KEY search_ngram_product (product_id, locale),
  FULLTEXT KEY search_ngram_title (title) WITH PARSER ngram,
  FULLTEXT KEY search_ngram_text (title, body) WITH PARSER ngram
);
