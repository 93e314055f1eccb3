-- What providers sent, stored before it is acknowledged and processed once.
CREATE TABLE payment_event (
  provider     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  event_id     VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  payload      MEDIUMBLOB NOT NULL,
  received_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  processed_at DATETIME(6) NULL,
  attempts     INT NOT NULL DEFAULT 0,
  last_error   VARCHAR(1024) NULL,
  PRIMARY KEY (provider, event_id),
  KEY payment_event_open (processed_at, received_at)
);
