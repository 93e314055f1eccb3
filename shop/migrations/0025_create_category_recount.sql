-- Categories whose product_count and category_facet rows are due for a recount (0 = the whole catalogue).
CREATE TABLE category_recount (
  category_id BIGINT NOT NULL,
  due_since   DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (category_id)
);
