CREATE TABLE variant_option (
  variant_id BIGINT NOT NULL,
  option_id  BIGINT NOT NULL,
  value_id   BIGINT NOT NULL,
  PRIMARY KEY (variant_id, option_id),
  KEY variant_option_value (value_id),
  CONSTRAINT variant_option_variant FOREIGN KEY (variant_id) REFERENCES variant (id) ON DELETE CASCADE,
  CONSTRAINT variant_option_option FOREIGN KEY (option_id) REFERENCES product_option (id) ON DELETE CASCADE,
  CONSTRAINT variant_option_value_exists FOREIGN KEY (value_id) REFERENCES product_option_value (id) ON DELETE CASCADE
);
