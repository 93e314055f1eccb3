-- What carriers said, kept before it is acknowledged. tracking_number: a message may come before the shop knows the number; it is given to
-- its shipment then.
CREATE TABLE carrier_event (
  carrier      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  event_id     VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  shipment_id  BIGINT NULL,
  tracking_number VARCHAR(64) NOT NULL,
  state        VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  description  VARCHAR(255) NOT NULL DEFAULT '',
  happened_at  DATETIME(6) NOT NULL,
  received_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (carrier, event_id),
  KEY carrier_event_shipment (shipment_id, happened_at),
  KEY carrier_event_tracking (carrier, tracking_number)
);
