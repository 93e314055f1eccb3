-- What staff change has a version, so that nobody overwrites what they have not seen.
ALTER TABLE attribute ADD COLUMN version BIGINT NOT NULL DEFAULT 1, ALGORITHM=INSTANT;
