-- source_url is where an import said the picture is; hash is set once its bytes are in the media store.
CREATE TABLE product_media (
  product_id BIGINT NOT NULL,
  position   INT NOT NULL,
  variant_id BIGINT NULL,
  hash       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  source_url VARCHAR(1024) NOT NULL DEFAULT '',
  alt        VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (product_id, position),
  KEY product_media_hash (hash),
  KEY product_media_variant (variant_id),
  CONSTRAINT product_media_product FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE CASCADE,
  CONSTRAINT product_media_variant_exists FOREIGN KEY (variant_id) REFERENCES variant (id) ON DELETE CASCADE
);
