-- The history of an order. A row that changes a state names the row of the outbox that announced it.
CREATE TABLE order_event (
  id         BIGINT NOT NULL AUTO_INCREMENT,
  order_id   BIGINT NOT NULL,
  kind       VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  from_state VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NULL,
  to_state   VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NULL,
  actor      VARCHAR(190) NOT NULL,
  data       JSON NULL,
  outbox_id  BIGINT NULL,
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY order_event_order (order_id, id),
  UNIQUE KEY order_event_outbox (outbox_id),
  CONSTRAINT order_event_order_exists FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
);
