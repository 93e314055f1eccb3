-- What leaves the database is written here by the transaction that causes it, and deleted when it is done.
-- A row is due when available_at has passed. A claim moves available_at to the end of its lease, so a row whose worker
-- died is due again by itself, and one index range, already in order, serves every claim. Rows of one topic and aggregate
-- are done in the order of their ids where their topic asks for it; outbox_aggregate finds whether one is before another.
CREATE TABLE outbox (
  id           BIGINT NOT NULL AUTO_INCREMENT,
  topic        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  aggregate    VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  payload      JSON NOT NULL,
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  available_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  attempts     INT NOT NULL DEFAULT 0,
  claim        CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  last_error   VARCHAR(1024) NULL,
  dead_at      DATETIME(6) NULL,
  PRIMARY KEY (id),
  KEY outbox_due (topic, dead_at, available_at, id),
  KEY outbox_aggregate (topic, aggregate, id),
  KEY outbox_claim (claim)
);
