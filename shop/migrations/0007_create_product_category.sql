CREATE TABLE product_category (
  product_id  BIGINT NOT NULL,
  category_id BIGINT NOT NULL,
  position    INT NOT NULL DEFAULT 0,
  PRIMARY KEY (product_id, category_id),
  KEY product_category_category (category_id, position, product_id),
  CONSTRAINT product_category_product FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE CASCADE,
  CONSTRAINT product_category_category_exists FOREIGN KEY (category_id) REFERENCES category (id)
);
