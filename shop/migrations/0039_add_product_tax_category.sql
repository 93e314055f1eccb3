-- Which tax rates a product falls under; the rates of a zone name the same categories.
ALTER TABLE product ADD COLUMN tax_category VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'standard';
