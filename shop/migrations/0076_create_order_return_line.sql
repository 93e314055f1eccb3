CREATE TABLE order_return_line (
  return_id     BIGINT NOT NULL,
  order_line_id BIGINT NOT NULL,
  quantity      INT NOT NULL,
  restocked     BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (return_id, order_line_id),
  CONSTRAINT order_return_line_return_exists FOREIGN KEY (return_id) REFERENCES order_return (id) ON DELETE CASCADE,
  CONSTRAINT order_return_line_quantity CHECK (quantity > 0)
);
