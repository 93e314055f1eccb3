CREATE TABLE product_option (
  id         BIGINT NOT NULL AUTO_INCREMENT,
  product_id BIGINT NOT NULL,
  position   INT NOT NULL,
  name       VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY product_option_name (product_id, name),
  CONSTRAINT product_option_product FOREIGN KEY (product_id) REFERENCES product (id) ON DELETE CASCADE
);
