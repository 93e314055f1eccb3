-- Names and values of attributes and options in other languages, by their text in the shop's first locale.
CREATE TABLE label_translation (
  locale VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  label  VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
  text   VARCHAR(190) NOT NULL,
  PRIMARY KEY (locale, label)
);
