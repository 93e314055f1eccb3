-- One row. Its lock orders the invalidation log: the order of sequences is the order of their commits.
CREATE TABLE invalidation_clock (
  id       TINYINT NOT NULL,
  sequence BIGINT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT invalidation_clock_is_one_row CHECK (id = 1)
);
