-- kind 'option' mirrors an option of variants and 'brand' the brand, so that one mechanism counts all facets.
CREATE TABLE attribute (
  id         BIGINT NOT NULL AUTO_INCREMENT,
  code       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name       VARCHAR(190) NOT NULL,
  kind       ENUM('text','number','boolean','option','brand') NOT NULL DEFAULT 'text',
  unit       VARCHAR(16) NOT NULL DEFAULT '',
  filterable BOOLEAN NOT NULL DEFAULT TRUE,
  position   INT NOT NULL DEFAULT 0,
  PRIMARY KEY (id),
  UNIQUE KEY attribute_code (code)
);
