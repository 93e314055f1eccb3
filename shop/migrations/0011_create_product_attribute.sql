CREATE TABLE product_attribute (
  product_id BIGINT NOT NULL,
  value_id   BIGINT NOT NULL,
  PRIMARY KEY (product_id, value_id),
  KEY product_attribute_value (value_id, product_id),
  CONSTRAINT product_attribute_product FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE CASCADE,
  CONSTRAINT product_attribute_value_exists FOREIGN KEY (value_id) REFERENCES attribute_value (id)
);
