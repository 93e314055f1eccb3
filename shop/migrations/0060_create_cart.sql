-- public_id has 130 random bits: who knows it may use a cart that belongs to no customer.
CREATE TABLE cart (
  id               BIGINT NOT NULL AUTO_INCREMENT,
  public_id        CHAR(26) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  customer_id      BIGINT NULL,
  open_for         BIGINT GENERATED ALWAYS AS (IF(state = 'open', customer_id, NULL)) VIRTUAL,
  state            ENUM('open','completing','ordered','merged') NOT NULL DEFAULT 'open',
  currency         CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  locale           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  email            VARCHAR(254) NULL,
  shipping_address JSON NULL,
  billing_address  JSON NULL,
  shipping_method  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  version          BIGINT NOT NULL DEFAULT 1,
  created_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at       DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY cart_public_id (public_id),
  UNIQUE KEY cart_open_for (open_for),
  KEY cart_updated (state, updated_at)
);
