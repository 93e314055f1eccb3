CREATE TABLE shipment_line (
  shipment_id   BIGINT NOT NULL,
  order_line_id BIGINT NOT NULL,
  quantity      INT NOT NULL,
  PRIMARY KEY (shipment_id, order_line_id),
  CONSTRAINT shipment_line_shipment_exists FOREIGN KEY (shipment_id) REFERENCES shipment (id) ON DELETE CASCADE,
  CONSTRAINT shipment_line_quantity CHECK (quantity > 0)
);
