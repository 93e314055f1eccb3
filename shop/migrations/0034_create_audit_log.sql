-- Every staff write, in its own transaction. Rows are only ever added.
CREATE TABLE audit_log (
  id           BIGINT NOT NULL AUTO_INCREMENT,
  actor        VARCHAR(190) NOT NULL,
  action       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  entity       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  entity_id    BIGINT NOT NULL,
  before_value JSON NULL,
  after_value  JSON NULL,
  request_id   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY audit_log_entity (entity, entity_id, id),
  KEY audit_log_created (created_at)
);
