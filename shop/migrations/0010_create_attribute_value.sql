-- number_value is set for kind 'number' and orders its values.
CREATE TABLE attribute_value (
  id           BIGINT NOT NULL AUTO_INCREMENT,
  attribute_id BIGINT NOT NULL,
  value        VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  number_value DOUBLE NULL,
  PRIMARY KEY (id),
  UNIQUE KEY attribute_value_value (attribute_id, value),
  CONSTRAINT attribute_value_attribute FOREIGN KEY (attribute_id) REFERENCES attribute (id)
);
