-- code is in the form in which codes are compared: upper case, without spaces. used counts orders that hold it, where there is a
-- usage_limit, which never changes.
CREATE TABLE coupon (
  code               VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  promotion_id       BIGINT NOT NULL,
  status             ENUM('active','archived') NOT NULL DEFAULT 'active',
  usage_limit        BIGINT NULL,
  per_customer_limit BIGINT NULL,
  used               BIGINT NOT NULL DEFAULT 0,
  created_at         DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (code),
  KEY coupon_promotion (promotion_id, code),
  CONSTRAINT coupon_promotion_exists FOREIGN KEY (promotion_id) REFERENCES promotion (id),
  CONSTRAINT coupon_used CHECK (used >= 0 AND (usage_limit IS NULL OR used <= usage_limit))
);
