CREATE TABLE shipment (
  id              BIGINT NOT NULL AUTO_INCREMENT,
  public_id       CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  order_id        BIGINT NOT NULL,
  carrier         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tracking_number VARCHAR(64) NULL,
  tracking_url    VARCHAR(500) NULL,
  state           ENUM('preparing','shipped','in_transit','delivered','failed','returned') NOT NULL,
  shipped_at      DATETIME(6) NULL,
  delivered_at    DATETIME(6) NULL,
  version         BIGINT NOT NULL DEFAULT 1,
  created_at      DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY shipment_public_id (public_id),
  UNIQUE KEY shipment_tracking (carrier, tracking_number),
  KEY shipment_order (order_id, id),
  CONSTRAINT shipment_order_exists FOREIGN KEY (order_id) REFERENCES orders (id)
);
