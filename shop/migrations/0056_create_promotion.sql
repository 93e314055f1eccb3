-- rule: what it takes off and on what condition (promotions::model). used counts orders that hold it, where there is a
-- usage_limit; without one it stays 0, so that a promotion for everybody is no row that every buyer queues for. Whether there is
-- a limit is settled when a promotion leaves the draft; how high it is can change.
CREATE TABLE promotion (
  id                 BIGINT NOT NULL AUTO_INCREMENT,
  name               VARCHAR(190) NOT NULL,
  labels             JSON NOT NULL,
  status             ENUM('draft','active','archived') NOT NULL DEFAULT 'draft',
  needs_coupon       BOOLEAN NOT NULL,
  combines           BOOLEAN NOT NULL DEFAULT TRUE,
  priority           INT NOT NULL DEFAULT 0,
  rule               JSON NOT NULL,
  starts_at          DATETIME(6) NULL,
  ends_at            DATETIME(6) NULL,
  usage_limit        BIGINT NULL,
  per_customer_limit BIGINT NULL,
  used               BIGINT NOT NULL DEFAULT 0,
  version            BIGINT NOT NULL DEFAULT 1,
  created_at         DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY promotion_status (status, needs_coupon, priority),
  CONSTRAINT promotion_used CHECK (used >= 0 AND (usage_limit IS NULL OR used <= usage_limit))
);
