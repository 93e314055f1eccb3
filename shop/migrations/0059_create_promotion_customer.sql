-- How often one customer holds a promotion (scope 'p' and its id) or a coupon (scope 'c' and its code), where a limit per
-- customer is set.
CREATE TABLE promotion_customer (
  scope        VARCHAR(66) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  customer_key BINARY(32) NOT NULL,
  used         BIGINT NOT NULL,
  PRIMARY KEY (scope, customer_key),
  CONSTRAINT promotion_customer_used CHECK (used >= 0)
);
