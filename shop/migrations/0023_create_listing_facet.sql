-- Derived: the filterable values of each published product in each category that it is in or under (0 = all).
CREATE TABLE listing_facet (
  category_id BIGINT NOT NULL,
  value_id    BIGINT NOT NULL,
  product_id  BIGINT NOT NULL,
  PRIMARY KEY (category_id, value_id, product_id),
  KEY listing_facet_product (product_id, category_id, value_id)
);
