-- Messages that the test provider has to send. Two rows with one event_id are one message sent twice.
CREATE TABLE test_payment_message (
  id         BIGINT NOT NULL AUTO_INCREMENT,
  event_id   CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reference  CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  deliver_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  sent_at    DATETIME(6) NULL,
  PRIMARY KEY (id),
  KEY test_payment_message_due (sent_at, deliver_at)
);
