-- Derived: unfiltered facet counts of categories too large to count on each miss. Recounted by the worker.
CREATE TABLE category_facet (
  category_id   BIGINT NOT NULL,
  value_id      BIGINT NOT NULL,
  product_count BIGINT NOT NULL,
  PRIMARY KEY (category_id, value_id)
);
