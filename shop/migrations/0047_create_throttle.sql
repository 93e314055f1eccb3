-- Attempts by address and by account, in the database so that a lost cache forgets nothing. subject is a keyed hash;
-- allowed_at is the theoretical arrival time of the generic cell rate algorithm.
CREATE TABLE throttle (
  scope      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  subject    BINARY(32) NOT NULL,
  allowed_at DATETIME(6) NOT NULL,
  PRIMARY KEY (scope, subject),
  KEY throttle_allowed (allowed_at)
);
