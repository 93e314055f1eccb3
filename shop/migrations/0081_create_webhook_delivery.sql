-- What one endpoint is told of one event, with what became of it. body is what is signed and sent, the same in every attempt.
CREATE TABLE webhook_delivery (
  id            BIGINT NOT NULL AUTO_INCREMENT,
  endpoint_id   BIGINT NOT NULL,
  event_id      CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  event         VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  body          MEDIUMBLOB NOT NULL,
  state         ENUM('pending','delivered','dead') NOT NULL DEFAULT 'pending',
  attempts      INT NOT NULL DEFAULT 0,
  last_status   SMALLINT NULL,
  last_error    VARCHAR(500) NULL,
  created_at    DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  delivered_at  DATETIME(6) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY webhook_delivery_event (endpoint_id, event_id),
  KEY webhook_delivery_state (state, created_at),
  KEY webhook_delivery_endpoint (endpoint_id, id),
  KEY webhook_delivery_endpoint_state (endpoint_id, state, id),
  CONSTRAINT webhook_delivery_endpoint_exists FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoint (id) ON DELETE CASCADE
);
