CREATE TABLE product_option_value (
  id        BIGINT NOT NULL AUTO_INCREMENT,
  option_id BIGINT NOT NULL,
  position  INT NOT NULL,
  value     VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY product_option_value_value (option_id, value),
  CONSTRAINT product_option_value_option FOREIGN KEY (option_id) REFERENCES product_option (id) ON DELETE CASCADE
);
