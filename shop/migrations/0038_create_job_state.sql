-- How far jobs of the worker that go through time have come.
CREATE TABLE job_state (
  name       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  done_until DATETIME(6) NOT NULL,
  PRIMARY KEY (name)
);
