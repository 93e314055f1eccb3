-- Addresses, cards and the like that are always let through or always refused. value_key is a keyed hash.
CREATE TABLE risk_list (
  list       ENUM('allow','deny') NOT NULL,
  kind       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  value_key  BINARY(32) NOT NULL,
  note       VARCHAR(190) NOT NULL DEFAULT '',
  created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (kind, value_key)
);
