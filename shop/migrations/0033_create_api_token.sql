-- Bearer tokens of the staff API. Only a SHA-256 of the secret is kept: secrets are 256 random bits.
CREATE TABLE api_token (
  id          BIGINT NOT NULL AUTO_INCREMENT,
  name        VARCHAR(190) NOT NULL,
  secret_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  scopes      JSON NOT NULL,
  created_at  DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  expires_at  DATETIME(6) NULL,
  revoked_at  DATETIME(6) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY api_token_secret (secret_hash),
  UNIQUE KEY api_token_name (name)
);
