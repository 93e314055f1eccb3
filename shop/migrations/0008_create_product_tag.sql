CREATE TABLE product_tag (
  product_id BIGINT NOT NULL,
  tag        VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  PRIMARY KEY (product_id, tag),
  KEY product_tag_tag (tag, product_id),
  CONSTRAINT product_tag_product FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE CASCADE
);
