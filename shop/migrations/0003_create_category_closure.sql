-- Every (ancestor, descendant) pair of the tree, each category being its own descendant at depth 0.
CREATE TABLE category_closure (
  ancestor_id   BIGINT NOT NULL,
  descendant_id BIGINT NOT NULL,
  depth         INT NOT NULL,
  PRIMARY KEY (ancestor_id, descendant_id),
  KEY category_closure_descendant (descendant_id, depth)
);
