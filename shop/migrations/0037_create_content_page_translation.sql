-- body is plain text: paragraphs are separated by empty lines.
CREATE TABLE content_page_translation (
  page_id         BIGINT NOT NULL,
  locale          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title           VARCHAR(255) NOT NULL,
  body            MEDIUMTEXT NOT NULL,
  seo_title       VARCHAR(255) NOT NULL DEFAULT '',
  seo_description VARCHAR(512) NOT NULL DEFAULT '',
  PRIMARY KEY (page_id, locale),
  CONSTRAINT content_page_translation_page FOREIGN KEY (page_id) REFERENCES content_page (id) ON DELETE CASCADE
);
